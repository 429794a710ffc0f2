"""Finding models: each module of `models.zoo` registers what it offers; there is no central list.

A zoo module must be quick to import: torch and scikit-learn are imported where they are used.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.errors import DataNeeded, ModelError, UnknownModel
from models.model import Model
from models.training import Progress, Trainer, TrainingReport

MAX_SEED = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Files that a model needs and the project does not contain; `variable` can name their folder.

    contents: what is in the folder, for people.
    """

    contents: str
    variable: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A registered model. `data` is None where the model is complete in itself."""

    name: str
    title: str
    data: DataFolder | None
    load: Callable[[Path], Model]


_entries: dict[str, Entry] = {}


@dataclass(frozen=True, slots=True)
class TrainingEntry:
    """Something that can be trained. `data` is None where no folder is needed."""

    name: str
    data: DataFolder | None
    train: Trainer


_trainers: dict[str, TrainingEntry] = {}

Opener = Callable[[Path, Path | None], Model]
"""Takes a file and the data folder, None for the one that the environment names."""

_openers: dict[str, Opener] = {}


def register(
    name: str, title: str, data: DataFolder | None = None
) -> Callable[[Callable[[Path], Model]], Callable[[Path], Model]]:
    """Decorate a factory. It is given the data folder; without `data`, an empty path."""

    def add(factory: Callable[[Path], Model]) -> Callable[[Path], Model]:
        if name in _entries:
            raise ValueError(f"two models are named {name!r}")
        _entries[name] = Entry(name, title, data, factory)
        return factory

    return add


def register_opener(suffix: str) -> Callable[[Opener], Opener]:
    """Decorate a function that loads a model from a file whose name ends so."""

    def add(opener: Opener) -> Opener:
        if suffix in _openers:
            raise ValueError(f"two functions open files of {suffix!r}")
        _openers[suffix] = opener
        return opener

    return add


def register_trainer(name: str, data: DataFolder | None = None) -> Callable[[Trainer], Trainer]:
    """Decorate a function that trains a checkpoint from nothing."""

    def add(trainer: Trainer) -> Trainer:
        if name in _trainers:
            raise ValueError(f"two trainers are named {name!r}")
        _trainers[name] = TrainingEntry(name, data, trainer)
        return trainer

    return add


def catalog() -> tuple[Entry, ...]:
    """Every registered model, by name; nothing is loaded."""
    _discover()
    return tuple(_entries[name] for name in sorted(_entries))


def names() -> tuple[str, ...]:
    """Names of every model, also of those that need a data folder."""
    return tuple(entry.name for entry in catalog())


def load(name: str, data: Path | None = None) -> Model:
    """Load a model, by its name or from a checkpoint's path, which ends in `.npz`.

    data: the folder for a model that needs one; None looks at the environment variable that the
    model's entry names. Other models do not read it.

    Raises UnknownModel, DataNeeded, ModelFileError.
    """
    known = {entry.name: entry for entry in catalog()}
    if opener := _openers.get(Path(name).suffix):
        return opener(Path(name), data)
    if name not in known:
        raise UnknownModel(name, known)
    entry = known[name]
    return entry.load(data_folder(name, entry.data, data))


def data_folder(name: str, needed: DataFolder | None, given: Path | None) -> Path:
    """The folder to load `name` from: the one given, else the environment's; empty if not needed.

    Raises DataNeeded where there is none.
    """
    if needed is None:
        return Path()
    folder = given or os.environ.get(needed.variable)
    if not folder:
        raise DataNeeded(name, needed.contents, needed.variable)
    return Path(folder)


def trainers() -> dict[str, TrainingEntry]:
    """Every registered trainer by name."""
    _discover()
    return {name: _trainers[name] for name in sorted(_trainers)}


def train(
    name: str,
    seed: int = 0,
    out: Path | None = None,
    progress: Progress = lambda _: None,
    *,
    data: Path | None = None,
) -> TrainingReport:
    """Train and write a checkpoint; on one machine the same seed gives the same bytes.

    name: a trainer's or a recipe's (see `models.recipes`). out: the file to write; None replaces
    the checkpoint that the project ships. data: as for `load`.

    A recipe's training that was interrupted goes on from its last whole epoch, as long as the file
    `<out>.state` is there.

    Raises UnknownModel where nothing of that name can be trained, DataNeeded, ModelError for a seed
    or an `out` that cannot be.
    """
    known = trainers()
    if name not in known:
        raise UnknownModel(name, known)
    if not 0 <= seed <= MAX_SEED:
        raise ModelError(f"seed {seed} is outside [0, {MAX_SEED}]")
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise ModelError(f"{out} cannot be written: give a file in an existing folder")
    entry = known[name]
    return entry.train(seed, out, progress, data_folder(name, entry.data, data))


@cache
def _discover() -> None:
    package = importlib.import_module("models.zoo")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
