"""Errors of the models. Each is one line that says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class ModelError(Exception):
    """A model cannot be loaded, trained or fed."""


class UnknownModel(ModelError):
    """No model has that name; the message lists those that exist."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"no model is named {name!r}; choose one of: {', '.join(self.known)}")


class UnknownTask(ModelError):
    """No task has that name; the message lists those that exist."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"no task is named {name!r}; choose one of: {', '.join(self.known)}")


class DataNeeded(ModelError):
    """Files of a model or task are not part of the project and no folder was given."""

    def __init__(self, name: str, contents: str, variable: str) -> None:
        self.name, self.contents, self.variable = name, contents, variable
        super().__init__(
            f"{name} needs a folder with {contents}; pass it, or set {variable} to its path"
        )


class ModelFileError(ModelError):
    """A file is damaged or hostile: which file, which entry of it, and what was expected."""

    def __init__(self, path: Path, entry: str | None, problem: str) -> None:
        self.path, self.entry, self.problem = path, entry, problem
        where = f"{path}" if entry is None else f"{path}: {entry}"
        super().__init__(" ".join(f"{where}: {problem}".split()))


class InputRefused(ModelError):
    """A query or a sample cannot be encoded exactly as a model's input."""


class UnsupportedOperator(ModelError):
    """A module to import has an operator that the integer graph has no form for."""

    def __init__(self, operator: str, place: str, nearest: str) -> None:
        self.operator, self.place, self.nearest = operator, place, nearest
        super().__init__(f"{operator} at {place} is not supported; nearest: {nearest}")
