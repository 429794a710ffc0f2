"""The checkpoints that the project ships: sound, small, and as accurate as they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import models
from models import recipes
from models.compress import checkpoint
from models.zoo.recipes import SHIPPED

NAMES = sorted(recipe.name for recipe in recipes.catalog() if recipe.name in models.names())
LEVELS = {"2bit": {-2, -1, 0, 1}, "ternary": {-1, 0, 1}, "binary": {-1, 1}, "int4": range(-7, 8)}


def path_of(name: str) -> Path:
    return SHIPPED / f"{name}.npz"


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_its_recipe_says(name: str) -> None:
    stored = checkpoint.load(path_of(name))
    assert stored.recipe == json.loads(recipes.find(name).as_json())
    levels = {int(level) for layer in stored.layers for level in np.unique(layer.levels)}
    assert levels <= set(LEVELS.get(name.rpartition("-")[2], range(-127, 128)))
    *_, fake, integer = stored.accuracies.values()
    assert abs(fake - integer) <= 0.001


@pytest.mark.parametrize("name", NAMES)
def test_its_accuracies_are_found_again(name: str) -> None:
    model = models.load(name)
    trained, _, integer = checkpoint.load(path_of(name)).accuracies.values()
    assert model.integer_accuracy() == integer
    assert model.reference.accuracy() == trained


def test_they_are_small() -> None:
    sizes = [path_of(name).stat().st_size for name in NAMES]
    assert len(NAMES) == 8
    assert max(sizes) < 150_000
    assert sum(sizes) < 1_000_000


@pytest.mark.parametrize("name", NAMES)
def test_saving_again_changes_nothing_but_zlib_s_choices(name: str, tmp_path: Path) -> None:
    stored = checkpoint.load(path_of(name))
    copies = [tmp_path / "1.npz", tmp_path / "2.npz"]
    for copy in copies:
        checkpoint.save(stored, copy)
    assert copies[0].read_bytes() == copies[1].read_bytes()
    with np.load(path_of(name)) as old, np.load(copies[0]) as new:
        assert old.files == new.files
        assert all(np.array_equal(old[entry], new[entry]) for entry in old.files)
