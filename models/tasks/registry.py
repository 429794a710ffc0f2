"""Finding tasks: each module of `models.tasks` registers what it offers, as models do."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.errors import UnknownTask
from models.registry import DataFolder, data_folder
from models.task import Task

Loader = Callable[[Path], Task]


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A registered task. `data` is None where the task is complete in itself."""

    name: str
    title: str
    data: DataFolder | None
    load: Loader


_entries: dict[str, TaskEntry] = {}


def register_task(
    name: str, title: str, data: DataFolder | None = None
) -> Callable[[Loader], Loader]:
    """Decorate a loader. It is given the data folder; without `data`, an empty path."""

    def add(loader: Loader) -> Loader:
        if name in _entries:
            raise ValueError(f"two tasks are named {name!r}")
        _entries[name] = TaskEntry(name, title, data, loader)
        return loader

    return add


def catalog() -> tuple[TaskEntry, ...]:
    """Every registered task, by name; no data is loaded."""
    _discover()
    return tuple(_entries[name] for name in sorted(_entries))


def names() -> tuple[str, ...]:
    """Names of every task, also of those that need a data folder."""
    return tuple(entry.name for entry in catalog())


def load_task(name: str, data: Path | None = None) -> Task:
    """Load a task.

    data: the folder for a task that needs one; None looks at the environment variable that the
    task's entry names. Other tasks do not read it.

    Raises UnknownTask, DataNeeded, ModelFileError.
    """
    known = {entry.name: entry for entry in catalog()}
    if name not in known:
        raise UnknownTask(name, known)
    entry = known[name]
    return entry.load(data_folder(name, entry.data, data))


@cache
def _discover() -> None:
    package = importlib.import_module("models.tasks")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
