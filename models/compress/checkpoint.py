"""A recipe's checkpoint: float and integer layers, recipe and accuracies in plain arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Graph
from kernels.quant import MAX_MULTIPLIER
from models.compress import about
from models.compress.about import About
from models.export import Grid, IntegerLayer, LevelLayer, RealLayer, Settings, build_graph
from models.files import ArrayFile, ArraySpec, expect_only, refusing, write_arrays

SUFFIX = ".npz"
_ABOUT = "about"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a training leaves behind.

    recipe: its description, see `Recipe.describe`. protocol: the task's. real: the float network's
    layers; levels and scales where training quantized the weights. layers: as the device computes
    them. accuracies: shares in [0, 1] of the validation examples, by what each is of.
    """

    seed: int
    recipe: Mapping[str, Any]
    protocol: str
    settings: Settings
    real: tuple[RealLayer | LevelLayer, ...]
    layers: tuple[IntegerLayer, ...]
    accuracies: Mapping[str, float]

    @cached_property
    def graph(self) -> Graph:
        """The integer graph."""
        name = "".join(c if c.isalnum() else "_" for c in str(self.recipe["name"]))
        return build_graph(name, self.layers, self.settings)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of the input and of each layer."""
        return (self.layers[0].levels.shape[1], *(len(layer.bias) for layer in self.layers))


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; equal checkpoints give equal bytes, as long as zlib is the same.

    Weights that are levels times a scale are stored as those. Real ones are half precision.
    """
    text = About(
        checkpoint.seed,
        checkpoint.sizes,
        checkpoint.recipe,
        checkpoint.protocol,
        checkpoint.settings,
        checkpoint.accuracies,
        tuple(layer.grid for layer in checkpoint.layers),
    )
    arrays: dict[str, NDArray[Any]] = {_ABOUT: np.array(json.dumps(asdict(text)).encode())}
    pairs = zip(checkpoint.real, checkpoint.layers, strict=True)
    for number, (real, integer) in enumerate(pairs, start=1):
        prefix = f"fc{number}_"
        if isinstance(real, RealLayer):
            arrays[prefix + "weight"] = real.weights.astype(np.float16)
        else:
            arrays[prefix + "weight_scale"] = real.scale
        arrays[prefix + "real_bias"] = real.bias
        arrays[prefix + "levels"] = integer.levels
        arrays[prefix + "bias"] = integer.bias
        arrays[prefix + "multiplier"] = integer.multiplier
    write_arrays(path, arrays, deflate=True)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; ModelFileError where anything is not as `save` writes it."""
    with ArrayFile(path) as file:
        stored = file.read(_ABOUT, ArraySpec("S")).item()
        with refusing(path, _ABOUT, "expected a recipe's description"):
            text = about.parse(json.loads(stored))
        shapes = zip(pairwise(text.sizes), text.grids, strict=True)
        read = [_layer(file, n, *shape, grid) for n, (shape, grid) in enumerate(shapes, start=1)]
        expect_only(file, [_ABOUT, *(name for _, _, names in read for name in names)])
    checkpoint = Checkpoint(
        seed=text.seed,
        recipe=text.recipe,
        protocol=text.protocol,
        settings=text.settings,
        real=tuple(real for real, _, _ in read),
        layers=tuple(integer for _, integer, _ in read),
        accuracies=text.accuracies,
    )
    with refusing(path, None, "expected integers that make a graph"):
        checkpoint.graph  # noqa: B018 - builds and verifies it
    return checkpoint


def _layer(
    file: ArrayFile, number: int, inputs: int, outputs: int, grid: Grid
) -> tuple[RealLayer | LevelLayer, IntegerLayer, list[str]]:
    """The float layer, its integers, and the names of the arrays read."""
    prefix, scale = f"fc{number}_", f"fc{number}_weight_scale"
    leveled = scale in file.names
    specs = {
        "real_bias": ArraySpec("float64", (outputs,)),
        "levels": ArraySpec("int8", (outputs, inputs)),
        "bias": ArraySpec("int32", (outputs,)),
        "multiplier": ArraySpec("int64", ((outputs,), (1,)), 1, MAX_MULTIPLIER),
    }
    if leveled:
        specs["weight_scale"] = ArraySpec("float64", ((outputs,), (1,)), 1e-30, 1e30)
    else:
        specs["weight"] = ArraySpec("float16", (outputs, inputs))
    found = {name: file.read(prefix + name, spec) for name, spec in specs.items()}
    real = (
        LevelLayer(found["levels"], found["weight_scale"], found["real_bias"])
        if leveled
        else RealLayer(found["weight"].astype(np.float64), found["real_bias"])
    )
    integer = IntegerLayer(
        levels=found["levels"],
        bias=found["bias"],
        multiplier=found["multiplier"],
        **asdict(grid),
    )
    return real, integer, [prefix + name for name in specs]
