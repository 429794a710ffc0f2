"""scikit-learn's 1,797 images of 8x8 pixels in 0..16, split once and for all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Range

PIXELS = 64
CLASSES = 10
PIXEL_RANGE = Range(0, 16)
TEST_IMAGES = 360
SPLIT_SEED = 0


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """Images uint8 (n, 64) and labels int64 (n,), for training and for the test."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]


@cache
def split() -> Split:
    """The split, stratified by digit; its seed is fixed, apart from any training's."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow to import
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images.astype(np.uint8),
        labels.astype(np.int64),
        test_size=TEST_IMAGES,
        stratify=labels,
        random_state=SPLIT_SEED,
    )
    for part in parts:
        part.setflags(write=False)
    train_images, test_images, train_labels, test_labels = parts
    return Split(train_images, train_labels, test_images, test_labels)
