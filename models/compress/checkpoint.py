"""A recipe's checkpoint: float and integer parameters, recipe and accuracies in plain arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DTYPES
from kernels.ir import Graph
from kernels.quant import MAX_MULTIPLIER, MAX_SHIFT
from models.errors import ModelFileError
from models.export import IntegerLayer, Settings, build_graph
from models.files import ArrayFile, ArraySpec, expect_only, refusing, write_arrays

SUFFIX = ".npz"
MAX_LAYERS = 6
MAX_UNITS = 4096
Parameters = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""Per layer the weights, float32 (out, in), and the bias, float32 (out,)."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All that a training leaves behind.

    recipe: its description, see `Recipe.describe`. protocol: the task's. parameters: the float
    network's; where training quantized the weights, these are levels * scale. accuracies: shares in
    [0, 1] of the validation examples, by what each is of.
    """

    seed: int
    recipe: Mapping[str, Any]
    protocol: str
    settings: Settings
    parameters: Parameters
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
    """Write a checkpoint; equal checkpoints give equal bytes."""
    arrays: dict[str, NDArray[Any]] = {
        "seed": np.array(checkpoint.seed),
        "sizes_count": np.array(len(checkpoint.sizes)),
        "sizes": np.array(checkpoint.sizes),
    }
    for name in ("recipe", "protocol", "settings", "accuracies"):
        value = getattr(checkpoint, name)
        plain = asdict(value) if isinstance(value, Settings) else value
        arrays[name] = np.array(json.dumps(plain).encode())
    stored = zip(checkpoint.parameters, checkpoint.layers, strict=True)
    for number, ((weight, bias), layer) in enumerate(stored, start=1):
        prefix = f"fc{number}_"
        arrays[prefix + "float_weight"] = weight
        arrays[prefix + "float_bias"] = bias
        arrays[prefix + "channels"] = np.array(len(layer.multiplier))
        for field in fields(IntegerLayer):
            value = getattr(layer, field.name)
            arrays[prefix + field.name] = np.array(
                value.encode() if field.name == "dtype" else value
            )
    write_arrays(path, arrays)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; ModelFileError where anything is not as `save` writes it."""
    with ArrayFile(path) as file:
        count = file.read("sizes_count", ArraySpec("int64", (), 2, MAX_LAYERS + 1)).item()
        sizes = file.read("sizes", ArraySpec("int64", (count,), 1, MAX_UNITS)).tolist()
        head = {
            name: _json(file, name) for name in ("recipe", "protocol", "settings", "accuracies")
        }
        seed = file.read("seed", ArraySpec("int64", low=0)).item()
        known = ["seed", "sizes_count", "sizes", *head]
        read = [_layer(file, n, *pair) for n, pair in enumerate(pairwise(sizes), start=1)]
        expect_only(file, known + [name for _, _, names in read for name in names])
    with refusing(path, None, "expected a recipe's checkpoint"):
        checkpoint = Checkpoint(
            seed=seed,
            recipe=dict(head["recipe"]),
            protocol=str(head["protocol"]),
            settings=Settings(**head["settings"]),
            parameters=tuple(parameters for parameters, _, _ in read),
            layers=tuple(layer for _, layer, _ in read),
            accuracies={str(name): float(v) for name, v in head["accuracies"].items()},
        )
        checkpoint.graph  # noqa: B018 - builds and verifies it
    return checkpoint


def _json(file: ArrayFile, name: str) -> Any:
    stored = file.read(name, ArraySpec("S"))
    with refusing(file.path, name, "expected JSON"):
        return json.loads(stored.item())


def _layer(
    file: ArrayFile, number: int, inputs: int, outputs: int
) -> tuple[tuple[NDArray[np.float32], NDArray[np.float32]], IntegerLayer, list[str]]:
    """Float parameters, integers, and the names of the arrays read."""
    prefix = f"fc{number}_"
    channels = file.read(prefix + "channels", ArraySpec("int64", (), 1, outputs)).item()
    limit = 1 << 15
    specs = {
        "float_weight": ArraySpec("float32", (outputs, inputs)),
        "float_bias": ArraySpec("float32", (outputs,)),
        "levels": ArraySpec("int8", (outputs, inputs)),
        "bias": ArraySpec("int32", (outputs,)),
        "multiplier": ArraySpec("int64", (channels,), 1, MAX_MULTIPLIER),
        "shift": ArraySpec("int64", (), 0, MAX_SHIFT),
        "scale": ArraySpec("float64", (), 1e-30, 1e30),
        "dtype": ArraySpec("S"),
        "low": ArraySpec("int64", (), -limit, 0),
        "high": ArraySpec("int64", (), 0, limit - 1),
        "input_shift": ArraySpec("int64", (), 0, 8),
    }
    found = {name: file.read(prefix + name, spec) for name, spec in specs.items()}
    dtype = found["dtype"].item().decode("ascii", "replace")
    if dtype not in DTYPES:
        raise ModelFileError(file.path, prefix + "dtype", f"is none of {', '.join(DTYPES)}")
    layer = IntegerLayer(
        levels=found["levels"],
        bias=found["bias"],
        multiplier=found["multiplier"],
        shift=found["shift"].item(),
        scale=found["scale"].item(),
        dtype=dtype,
        low=found["low"].item(),
        high=found["high"].item(),
        input_shift=found["input_shift"].item(),
    )
    names = [prefix + name for name in (*specs, "channels")]
    return (found["float_weight"], found["float_bias"]), layer, names
