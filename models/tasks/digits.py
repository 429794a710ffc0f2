"""digits: scikit-learn's 8x8 images, on the split that the shipped network is judged on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.digits.data import CLASSES, split
from models.task import Examples, Task
from models.tasks.registry import register_task

MOVED_SHARE = 0.2
_SIDE = 8
_WAYS = 9


@register_task("digits", "handwritten digits, 8x8 pixels in 0..16")
def load(_: Path) -> Task:
    """1,437 images to train on and 360 to judge; `augmented` moves some by a pixel."""
    data = split()
    train = Examples(data.train_images, data.train_labels)

    def augmented(rng: np.random.Generator) -> Examples:
        return moved(train, rng)

    return Task(
        name="digits",
        protocol=f"{len(data.test_labels)} of 1,797 images held out, stratified",
        classes=CLASSES,
        train=train,
        validation=Examples(data.test_images, data.test_labels),
        augmented=augmented,
    )


def moved(examples: Examples, rng: np.random.Generator) -> Examples:
    """The images (n, 64), about a fifth of them moved by up to a pixel in x and y, zeros beyond."""
    count = len(examples.labels)
    padded = np.pad(examples.inputs.reshape(-1, _SIDE, _SIDE), ((0, 0), (1, 1), (1, 1)))
    ways = np.where(rng.random(count) < MOVED_SHARE, rng.integers(_WAYS, size=count), _WAYS // 2)
    rows = (ways // 3)[:, None, None] + np.arange(_SIDE)[None, :, None]
    columns = (ways % 3)[:, None, None] + np.arange(_SIDE)[None, None, :]
    images = padded[np.arange(count)[:, None, None], rows, columns]
    return Examples(images.reshape(count, -1), examples.labels)
