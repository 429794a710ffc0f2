"""The network's sizes, and how it is trained. Chosen on a part of the training images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.digits.data import CLASSES, PIXELS

SIZES = (PIXELS, 32, 16, CLASSES)
Parameters = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""Per layer the weights, float32 (out, in), and the bias, float32 (out,)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyperparameters: AdamW with a cosine schedule, and some images moved by a pixel."""

    epochs: int = 150
    batch: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 0.05
    shifted_share: float = 0.2
