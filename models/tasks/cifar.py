"""cifar10-5: five of CIFAR-10's classes, from its published files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.cifar.data import CHOSEN, chosen_only, read_images
from models.errors import ModelFileError
from models.registry import DataFolder
from models.task import Examples, Task
from models.tasks.registry import register_task

VALIDATION_SHARE = 0.2
SPLIT_SEED = 0
DATA = DataFolder("CIFAR-10's python or binary files", "TRUECYCLE_CIFAR10")


@register_task("cifar10-5", f"CIFAR-10: {', '.join(CHOSEN)}", DATA)
def load(folder: Path) -> Task:
    """The five training batches, 80/20, stratified by class; the test batch stays apart."""
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 - slow to import

    images = chosen_only(read_images(folder))
    fewest = int(np.bincount(images.labels, minlength=len(CHOSEN)).min())
    if fewest < len(CHOSEN):
        raise ModelFileError(folder, None, f"holds {fewest} images of a class, too few to split")
    train_pixels, validation_pixels, train_labels, validation_labels = train_test_split(
        images.pixels,
        images.labels,
        test_size=VALIDATION_SHARE,
        stratify=images.labels,
        random_state=SPLIT_SEED,
    )
    return Task(
        name="cifar10-5",
        protocol="80/20 of the training batches, stratified",
        classes=len(CHOSEN),
        train=Examples(train_pixels, train_labels),
        validation=Examples(validation_pixels, validation_labels),
    )
