"""The network's integers, read from z80ai's `model.npz`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.chat.encoder import INPUTS
from models.errors import ModelFileError
from models.files import ArrayFile, ArraySpec, expect_only, refusing

FILE = "model.npz"
MAX_LAYERS = 8
MAX_UNITS = 1024
_MAX_CLASSES = 256
_LEAST_WEIGHT, _MOST_WEIGHT = -2, 1


@dataclass(frozen=True, eq=False, slots=True)
class Weights:
    """Per layer the weights, int8 (out, in) in -2..1, and the bias, int16 (out,).

    charset: the character of each class; the last one ends a reply.
    """

    layers: tuple[tuple[NDArray[np.int8], NDArray[np.int16]], ...]
    charset: str


def read_weights(path: Path) -> Weights:
    """Read `model.npz`; ModelFileError where it is damaged or not a network of that kind."""
    with ArrayFile(path) as file:
        charset = _charset(path, file.read("_charset", ArraySpec("S")))
        sizes = _sizes(path, file.read("_architecture", ArraySpec("S")), len(charset))
        layer_specs = [_layer_specs(n, *pair) for n, pair in enumerate(pairwise(sizes), start=1)]
        expect_only(file, ["_charset", "_architecture", *(name for s in layer_specs for name in s)])
        layers = [[file.read(name, spec) for name, spec in specs.items()] for specs in layer_specs]
    return Weights(tuple((weight, bias) for weight, bias in layers), charset)


def _layer_specs(number: int, inputs: int, outputs: int) -> dict[str, ArraySpec]:
    return {
        f"fc{number}_weight": ArraySpec("int8", (outputs, inputs), _LEAST_WEIGHT, _MOST_WEIGHT),
        f"fc{number}_bias": ArraySpec("int16", (outputs,)),
    }


def _charset(path: Path, stored: NDArray[Any]) -> str:
    # Not stored.item(): numpy strips trailing NULs, and NUL is the character that ends a reply.
    raw = stored.tobytes()
    if not raw.isascii() or len(set(raw)) != len(raw) or not 2 <= len(raw) <= _MAX_CLASSES:
        raise ModelFileError(path, "_charset", "expected 2 or more different ASCII characters")
    return raw.decode("ascii")


def _sizes(path: Path, stored: NDArray[Any], classes: int) -> list[int]:
    """Units of the input and of each layer, from the architecture's JSON."""
    with refusing(
        path, "_architecture", "expected JSON with input_size, hidden_sizes, num_classes"
    ):
        found = json.loads(stored.item())
        hidden = list(found["hidden_sizes"])
        sizes = [found["input_size"], *hidden, found["num_classes"]]
    if any(type(size) is not int or not 1 <= size <= MAX_UNITS for size in sizes):
        raise ModelFileError(path, "_architecture", f"expected sizes in [1, {MAX_UNITS}]")
    if len(hidden) >= MAX_LAYERS:
        raise ModelFileError(path, "_architecture", f"expected at most {MAX_LAYERS} layers")
    if sizes[0] != INPUTS or sizes[-1] != classes:
        raise ModelFileError(
            path,
            "_architecture",
            f"goes from {sizes[0]} to {sizes[-1]}, expected from {INPUTS} to {classes}",
        )
    return sizes
