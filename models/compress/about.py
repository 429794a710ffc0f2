"""What a checkpoint says of itself in JSON, read without trusting it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from kernels.dtypes import BYTES
from kernels.quant import MAX_SHIFT
from models.export import Grid, Settings
from models.export.layers import ACTIVATION_LEVELS, MAX_WEIGHT

MAX_LAYERS = 6
MAX_UNITS = 4096
_LONGEST = 200
_INT16 = 1 << 15
_LEAST, _MOST = 1e-30, 1e30


@dataclass(frozen=True, slots=True)
class About:
    """All of a checkpoint that is no array; see `Checkpoint`.

    sizes: units of the input and of each layer.
    """

    seed: int
    sizes: tuple[int, ...]
    recipe: Mapping[str, Any]
    protocol: str
    settings: Settings
    accuracies: Mapping[str, float]
    grids: tuple[Grid, ...]


def parse(plain: Any) -> About:
    """The description in parsed JSON; ValueError, which says what is wrong, where it is none."""
    about = _fields(plain, "the description", *(field.name for field in fields(About)))
    sizes = _items(about["sizes"], "sizes", 2, MAX_LAYERS + 1)
    recipe = _mapping(about["recipe"], "recipe")
    for name in ("name", "title", "task"):
        _text(recipe.get(name), f"the recipe's {name}")
    accuracies = _mapping(about["accuracies"], "accuracies")
    return About(
        seed=_integer(about["seed"], "seed", 0, (1 << 32) - 1),
        sizes=tuple(_integer(size, "a size", 1, MAX_UNITS) for size in sizes),
        recipe=recipe,
        protocol=_text(about["protocol"], "protocol"),
        settings=_settings(about["settings"]),
        accuracies={
            _text(name, "an accuracy's name"): _number(share, "an accuracy", 0, 1)
            for name, share in accuracies.items()
        },
        grids=tuple(map(_grid, _items(about["grids"], "grids", len(sizes) - 1, len(sizes) - 1))),
    )


def _settings(plain: Any) -> Settings:
    found = _fields(plain, "settings", *(field.name for field in fields(Settings)))
    return Settings(
        input_scale=_number(found["input_scale"], "input_scale", _LEAST, _MOST),
        input_high=_integer(found["input_high"], "input_high", 1, 255),
        activations=_choice(found["activations"], "activations", ACTIVATION_LEVELS),
        saturated=_number(found["saturated"], "saturated", 0, 1),
        logit_levels=_integer(found["logit_levels"], "logit_levels", 1, _INT16),
        max_weight=_integer(found["max_weight"], "max_weight", 1, MAX_WEIGHT),
    )


def _grid(plain: Any) -> Grid:
    found = _fields(plain, "a grid", *(field.name for field in fields(Grid)))
    return Grid(
        dtype=_choice(found["dtype"], "a grid's dtype", [str(dtype) for dtype in BYTES]),
        input_shift=_integer(found["input_shift"], "a grid's input_shift", 0, 8),
        shift=_integer(found["shift"], "a grid's shift", 0, MAX_SHIFT),
        scale=_number(found["scale"], "a grid's scale", _LEAST, _MOST),
        low=_integer(found["low"], "a grid's low", -_INT16, 0),
        high=_integer(found["high"], "a grid's high", 0, _INT16 - 1),
    )


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")
    return value


def _fields(value: Any, what: str, *names: str) -> dict[str, Any]:
    found = _mapping(value, what)
    if set(found) != set(names):
        raise ValueError(f"{what} has not exactly the fields {', '.join(names)}")
    return found


def _items(value: Any, what: str, least: int, most: int) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise ValueError(f"{what} is no list of {least} to {most}")
    return value


def _integer(value: Any, what: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{what} is no integer in [{low}, {high}]")
    return value


def _number(value: Any, what: str, low: float, high: float) -> float:
    if type(value) not in {int, float} or not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{what} is no number in [{low:g}, {high:g}]")
    return float(value)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value) <= _LONGEST:
        raise ValueError(f"{what} is no line of 1 to {_LONGEST} characters")
    return value


def _choice(value: Any, what: str, known: Collection[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{what} is none of {', '.join(known)}")
    return value
