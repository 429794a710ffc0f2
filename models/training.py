"""What a trainer of checkpoints is given and returns; `models.train` runs one by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


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
Trainer = Callable[[int, Path | None, Progress, Path], TrainingReport]
"""Takes a seed, the file to write (None for the one that the project ships), what to tell of
progress, and the data folder (an empty path where none is needed)."""
