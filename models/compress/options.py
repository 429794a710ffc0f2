"""What methods are told: formats, measures, schedules. Plain data that every module may use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WeightFormat(StrEnum):
    """The integers that weights become."""

    INT8 = "int8"
    INT4 = "int4"
    TWO_BIT = "2-bit"
    TERNARY = "ternary"
    BINARY = "binary"


class Importance(StrEnum):
    """By what a hidden unit is judged, always times the norm of its outgoing weights.

    NORM: the norm of its incoming weights and bias. ACTIVITY: its mean activation over the
    training examples, so that a unit that never fires goes first.
    """

    NORM = "norm"
    ACTIVITY = "activity"


@dataclass(frozen=True, slots=True)
class Schedule:
    """One training: AdamW, its learning rate falling from `learning_rate` to 0 along a cosine.

    dropout: the share of inputs and of hidden activations that are dropped. augment: whether to
    train on the task's varied examples, where it has them.
    """

    epochs: int = 60
    learning_rate: float = 2e-3
    batch: int = 256
    weight_decay: float = 0.02
    dropout: float = 0.1
    augment: bool = True


STANDARD = Schedule()
"""What trains well where nothing else is said."""
