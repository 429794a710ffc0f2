"""Training a checkpoint from nothing: `train(name)`, and what a trainer is given and returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.errors import UnknownModel


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """Progress: epochs done, epochs in all, and the last epoch's mean loss."""

    epoch: int
    epochs: int
    loss: float


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training wrote, and its accuracies (0 to 1) by what each is of."""

    path: Path
    accuracies: dict[str, float]


Progress = Callable[[TrainingStep], None]
Trainer = Callable[[int, Path | None, Progress], TrainingReport]


def train(
    name: str, seed: int = 0, out: Path | None = None, progress: Progress = lambda _: None
) -> TrainingReport:
    """Train and write a checkpoint; on one machine the same seed gives the same bytes.

    out: the file to write; None replaces the checkpoint that the project ships.

    Raises UnknownModel where nothing of that name can be trained.
    """
    from models.registry import trainers  # noqa: PLC0415 - the registry imports this module

    known = trainers()
    if name not in known:
        raise UnknownModel(name, known)
    return known[name](seed, out, progress)
