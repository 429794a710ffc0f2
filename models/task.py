"""What a network is trained and judged on, whichever data it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, slots=True)
class Examples:
    """Labelled inputs.

    inputs: uint8 (n, features), as they enter the device. labels: int64 (n,).
    """

    inputs: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False, slots=True)
class Task:
    """Data split once and for all.

    protocol: how it was split, for tables (`protocol A: by unique query, 85/15`). classes: number
    of labels. augmented: training examples of one epoch, drawn with a generator, where the task
    can vary its own inputs (words dropped, typos); None where it can't.
    """

    name: str
    protocol: str
    classes: int
    train: Examples
    validation: Examples
    augmented: Callable[[np.random.Generator], Examples] | None = None
