"""The option and the fixture of golden files."""

from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path

import pytest

OPTION = "--update-golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="write golden files anew instead of testing")


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with a golden file, or write it."""
    update = request.config.getoption(OPTION, default=False)

    def check(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            return
        want = path.read_text() if path.exists() else ""
        if text != want:
            rows = unified_diff(want.splitlines(), text.splitlines(), str(path), "now", lineterm="")
            pytest.fail("\n".join([*rows, f"if this is meant: pytest tests/kernels {OPTION}"]))

    return check
