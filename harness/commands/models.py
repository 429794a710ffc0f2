"""truecycle models: what can be measured."""

from __future__ import annotations

from dataclasses import asdict

from harness.options import JsonOption
from harness.terminal import show
from models import Entry, catalog


def command(json: JsonOption = None) -> None:
    """List the models, and what each needs from outside the project."""
    lines = [f"{entry.name:16} {entry.title}{_need(entry)}" for entry in catalog()]
    content = [
        {
            "name": entry.name,
            "title": entry.title,
            "data": asdict(entry.data) if entry.data else None,
        }
        for entry in catalog()
    ]
    show("\n".join(lines), json, {"models": content})


def _need(entry: Entry) -> str:
    if entry.data is None:
        return ""
    return f"  (needs {entry.data.contents}: --data or {entry.data.variable})"
