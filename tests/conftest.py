"""What all tests may use: pytester can only be asked for here, at the top of the tests."""

pytest_plugins = ["pytester"]
