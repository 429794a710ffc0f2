"""truecycle models: what can be measured."""

from __future__ import annotations

import typer

from models import Entry, catalog


def command() -> None:
    """List the models, and what each needs from outside the project."""
    for entry in catalog():
        typer.echo(f"{entry.name:16} {entry.title}{_need(entry)}")


def _need(entry: Entry) -> str:
    if entry.data is None:
        return ""
    return f"  (needs {entry.data.contents}: --data or {entry.data.variable})"
