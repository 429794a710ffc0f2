"""What the commands know of the terminal that they print to."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

NO_TERMINAL = 170
"""Columns, where output goes to a file."""


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return Console().is_terminal


def console_width() -> int:
    """Columns for a table on standard output."""
    console = Console()
    return console.width if console.is_terminal else NO_TERMINAL


def progress_bar() -> Progress:
    """A bar on standard error; one line per task."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
