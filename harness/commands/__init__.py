"""The commands of `truecycle`, one module each. A command is found by being here.

The module's name is the command's, and its function `command` is what runs: its signature gives the
options, its docstring the help. What several commands share stands in `harness.options`.
"""
