"""What the commands print, and to what terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich import progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from harness.progress import Progress
from harness.store import STANDARD_OUTPUT, write_document
from harness.table import Table
from harness.text import render

NO_TERMINAL = 170
"""Columns, where output goes to a file."""


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return Console().is_terminal


def console_width() -> int:
    """Columns for a table on standard output."""
    console = Console()
    return console.width if console.is_terminal else NO_TERMINAL


def as_text(table: Table) -> str:
    """A table as it suits standard output."""
    return render(table, console_width(), color=is_terminal())


def show(text: str, json: Path | None, content: Mapping[str, Any]) -> None:
    """Print a command's text and write its content as JSON; or the latter alone, to `-`."""
    if json != STANDARD_OUTPUT:
        typer.echo(text, nl=not text.endswith("\n"))
    if json:
        write_document(json, content)


def progress_bar() -> progress.Progress:
    """A bar on standard error; one line per task."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    return progress.Progress(*columns, console=Console(stderr=True))


@contextmanager
def stages() -> Iterator[Progress]:
    """A bar on standard error for work of several stages, gone when it is done.

    Nothing is shown without a terminal.
    """
    with _bar() as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total
        )


@contextmanager
def counted(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, gone when it is done; to be told how many of `total` are done.

    Nothing is shown without a terminal.
    """
    with _bar() as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _bar() -> progress.Progress:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    hidden = not console.is_terminal
    return progress.Progress(*columns, console=console, transient=True, disable=hidden)
