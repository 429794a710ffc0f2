"""A float network: affine layers in sequence, with ReLU between; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Graph
from models.errors import ModelError
from models.export import RealLayer, Settings, build_graph, per_layer, settle


@dataclass(frozen=True, eq=False, slots=True)
class FloatLayer:
    """y = weights @ x + bias, then, if `relu`, max(y, 0).

    weights: float64 (out, in). bias: float64 (out,).
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    relu: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class FloatNetwork:
    """Layers in order; inputs are float (n, *shape), flattened row by row."""

    name: str
    shape: tuple[int, ...]
    layers: tuple[FloatLayer, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of the input and of each layer."""
        return (self.layers[0].weights.shape[1], *(len(layer.bias) for layer in self.layers))

    def run(self, inputs: NDArray[np.floating]) -> NDArray[np.float64]:
        """Outputs, float64 (n, out), of inputs (n, *shape)."""
        values = inputs.reshape(len(inputs), -1).astype(np.float64)
        for layer in self.layers:
            values = values @ layer.weights.T + layer.bias
            if layer.relu:
                values = np.maximum(values, 0)
        return values

    def quantize(
        self,
        calibration: NDArray[np.uint8],
        *,
        input_scale: float,
        bits: int = 8,
        per_row: bool = True,
        input_high: int = 255,
    ) -> Graph:
        """The integer graph, weights quantized to `bits` (2 to 8).

        calibration: typical inputs as they enter the device, uint8 (n, *shape); the network was
        made for `input_scale` times those. per_row: one scale per output unit; without it one per
        layer, and requantizing is a plain shift. input_high: the largest input that will ever
        occur, which proofs of accumulators rest on.

        Raises ModelError for a network that cannot be quantized, and for a calibration that does
        not fit it.
        """
        if calibration.dtype != np.uint8 or calibration.shape[1:] != self.shape:
            raise ModelError(
                f"calibration is {calibration.dtype} {calibration.shape}, expected uint8 "
                f"(n, {', '.join(str(size) for size in self.shape)})"
            )
        if not 2 <= bits <= 8:
            raise ModelError(f"{bits} bits are outside [2, 8]")
        if self.layers[-1].relu:
            raise ModelError(f"{self.name} ends in ReLU; leave it out, so that logits can compare")
        settings = Settings(
            input_scale=input_scale, input_high=input_high, max_weight=(1 << (bits - 1)) - 1
        )
        real = [RealLayer(layer.weights, layer.bias) for layer in self.layers]
        layers = real if per_row else [per_layer(layer, settings.max_weight) for layer in real]
        flat = calibration.reshape(len(calibration), -1)
        return build_graph(self.name, settle(layers, flat, settings), settings)


def merged(layers: Sequence[FloatLayer]) -> tuple[FloatLayer, ...]:
    """The same function with no two layers in a row that have no ReLU between."""
    found: list[FloatLayer] = []
    for layer in layers:
        if found and not found[-1].relu:
            before = found.pop()
            weights = layer.weights @ before.weights
            bias = layer.weights @ before.bias + layer.bias
            found.append(replace(layer, weights=weights, bias=bias))
        else:
            found.append(layer)
    return tuple(found)
