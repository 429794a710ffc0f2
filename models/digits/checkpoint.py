"""The digits checkpoint: float and integer parameters, recipe and accuracies in plain arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.quant import MAX_SHIFT
from models.digits.recipe import SIZES, Parameters, Recipe
from models.files import ArraySpec, read_arrays, write_arrays
from models.quantization import MAX_MULTIPLIER, MAX_WEIGHT, QuantizedLayer

SHIPPED = Path(__file__).parent.parent / "checkpoints" / "digits.npz"
_LAYERS = range(1, len(SIZES))


@dataclass(frozen=True, slots=True)
class Accuracies:
    """Shares of the test images that are right, in [0, 1].

    linear: scikit-learn's logistic regression, trained on the same images, as a baseline.
    """

    float32: float
    int8: float
    linear: float


@dataclass(frozen=True, eq=False, slots=True)
class Checkpoint:
    """All that a training leaves behind."""

    seed: int
    recipe: Recipe
    parameters: Parameters
    layers: tuple[QuantizedLayer, ...]
    accuracies: Accuracies


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint; equal checkpoints give equal bytes."""
    arrays: dict[str, NDArray[Any]] = {"seed": np.array(checkpoint.seed)}
    for name, value in asdict(checkpoint.recipe).items():
        arrays[f"recipe_{name}"] = np.array(value)
    for name, value in asdict(checkpoint.accuracies).items():
        arrays[f"accuracy_{name}"] = np.array(value)
    stored = zip(_LAYERS, checkpoint.parameters, checkpoint.layers, strict=True)
    for number, (weight, bias), layer in stored:
        prefix = f"fc{number}_"
        arrays[prefix + "float_weight"] = weight
        arrays[prefix + "float_bias"] = bias
        arrays[prefix + "weight"] = layer.weights
        arrays[prefix + "bias"] = layer.bias
        arrays[prefix + "multiplier"] = layer.multiplier
        arrays[prefix + "shift"] = np.array(layer.shift)
        arrays[prefix + "scale"] = np.array(layer.scale)
    write_arrays(path, arrays)


def load(path: Path = SHIPPED) -> Checkpoint:
    """Read a checkpoint; ModelFileError where anything is not as `save` writes it."""
    arrays = read_arrays(path, _specs())

    def section(prefix: str) -> dict[str, Any]:
        return {
            name.removeprefix(prefix): array.item()
            for name, array in arrays.items()
            if name.startswith(prefix)
        }

    layers = tuple(
        QuantizedLayer(
            weights=arrays[f"fc{n}_weight"],
            bias=arrays[f"fc{n}_bias"],
            multiplier=arrays[f"fc{n}_multiplier"],
            shift=arrays[f"fc{n}_shift"].item(),
            scale=arrays[f"fc{n}_scale"].item(),
        )
        for n in _LAYERS
    )
    return Checkpoint(
        seed=arrays["seed"].item(),
        recipe=Recipe(**section("recipe_")),
        parameters=tuple(
            (arrays[f"fc{n}_float_weight"], arrays[f"fc{n}_float_bias"]) for n in _LAYERS
        ),
        layers=layers,
        accuracies=Accuracies(**section("accuracy_")),
    )


def _specs() -> dict[str, ArraySpec]:
    specs = {"seed": ArraySpec("int64", low=0)}
    for field in fields(Recipe):
        dtype = "int64" if isinstance(field.default, int) else "float64"
        specs[f"recipe_{field.name}"] = ArraySpec(dtype, low=0)
    for name in ("float32", "int8", "linear"):
        specs[f"accuracy_{name}"] = ArraySpec("float64", low=0, high=1)
    for number, inputs, outputs in zip(_LAYERS, SIZES, SIZES[1:], strict=False):
        specs |= _layer_specs(f"fc{number}_", inputs, outputs)
    return specs


def _layer_specs(prefix: str, inputs: int, outputs: int) -> dict[str, ArraySpec]:
    return {
        prefix + "float_weight": ArraySpec("float32", (outputs, inputs)),
        prefix + "float_bias": ArraySpec("float32", (outputs,)),
        prefix + "weight": ArraySpec("int8", (outputs, inputs), -MAX_WEIGHT, MAX_WEIGHT),
        prefix + "bias": ArraySpec("int32", (outputs,)),
        prefix + "multiplier": ArraySpec("uint8", (outputs,), 1, MAX_MULTIPLIER),
        prefix + "shift": ArraySpec("int64", (), 0, MAX_SHIFT),
        prefix + "scale": ArraySpec("float64", (), 1e-30, 1e30),
    }
