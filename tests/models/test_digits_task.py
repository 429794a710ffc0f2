"""The digits task: its split, and images moved by a pixel."""

from __future__ import annotations

import numpy as np

from models import tasks
from models.digits.data import split
from models.task import Examples
from models.tasks.digits import moved


def test_the_task_is_on_the_shipped_network_s_split() -> None:
    task = tasks.load_task("digits")
    assert (task.classes, len(task.train.labels)) == (10, 1437)
    assert np.array_equal(task.validation.inputs, split().test_images)
    assert np.array_equal(task.validation.labels, split().test_labels)


def test_augmentation_is_seeded_and_keeps_labels() -> None:
    task = tasks.load_task("digits")
    assert task.augmented is not None
    first, again = (task.augmented(np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first.inputs, again.inputs)
    assert np.array_equal(first.labels, task.train.labels)
    changed = (first.inputs != task.train.inputs).any(axis=1).mean()
    assert 0.12 < changed < 0.24  # a fifth is drawn, a ninth of which stays where it is


def test_an_image_moves_by_at_most_a_pixel() -> None:
    image = np.zeros((8, 8), np.uint8)
    image[0, 3] = 16
    many = Examples(np.tile(image.reshape(-1), (3000, 1)), np.zeros(3000, np.int64))
    found = {
        tuple(np.argwhere(x.reshape(8, 8)).ravel())
        for x in moved(many, np.random.default_rng(0)).inputs
    }
    assert found == {(), (0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)}
