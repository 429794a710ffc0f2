"""Settling scales: every layer's integers, chosen so that requantizing is cheap.

A layer with one scale is requantized by a plain shift: its output's scale is the accumulator's
times a power of two, the finest that reaches the largest calibrated output. Layers with a scale per
row take an 8-bit multiplier per output. Where weights are still real, the multiplier's rounding is
absorbed (see `models.quantization`).

Biases carry half a step of the output, so that the device's floor rounds to nearest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DTYPES, INT16
from models.errors import ModelError
from models.export import scales
from models.export.layers import IntegerLayer, LevelLayer, RealLayer, Settings
from models.export.scales import Place

_MOST_SATURATED = 1e-3


def settle(
    layers: Sequence[RealLayer | LevelLayer],
    calibration: NDArray[np.uint8],
    settings: Settings,
) -> tuple[IntegerLayer, ...]:
    """Integers of every layer.

    calibration: uint8 (n, in), inputs whose largest activations must be represented. Raises
    ModelError for weights or biases that are NaN or infinite, and for a layer without any output.
    """
    settled: list[IntegerLayer] = []
    scale, high = settings.input_scale, settings.input_high
    values = calibration.astype(np.float64)
    for number, layer in enumerate(layers, start=1):
        _check(layer, number)
        last = number == len(layers)
        outputs = _outputs(layer, values * scale)
        place = Place(
            number=number,
            input_scale=scale,
            input_high=high,
            peak=_peak(outputs, 0.0 if last else settings.saturated),
            levels=settings.logit_levels if last else settings.levels,
            dtype=INT16 if last else DTYPES[settings.activations],
            low=INT16.low if last else 0,
        )
        integer = _settle(layer, place, settings.max_weight)
        if settled:
            settled[-1] = narrowed(settled[-1], integer, values)
            values = np.minimum(values, settled[-1].high)
        settled.append(integer)
        values = _forward(integer, layer.bias, values)
        scale, high = integer.scale, integer.high
    return tuple(settled)


def narrowed(
    before: IntegerLayer, layer: IntegerLayer, values: NDArray[np.float64]
) -> IntegerLayer:
    """`before`, saturating lower where that keeps the accumulators of `layer` within 16 bits.

    values: outputs of `before` over the calibration inputs; at most a thousandth may saturate.
    """
    weights = layer.levels.astype(np.int64) << layer.input_shift
    rise, fall = np.maximum(weights, 0).sum(axis=1), np.maximum(-weights, 0).sum(axis=1)
    limits = np.concatenate(
        [
            (INT16.high - layer.bias) / np.maximum(rise, 1),
            (layer.bias - INT16.low) / np.maximum(fall, 1),
        ]
    )
    limit = math.floor(limits.min())
    if limit >= before.high or np.mean(values > limit) > _MOST_SATURATED:
        return before
    return replace(before, high=limit)


def per_layer(layer: RealLayer, max_weight: int) -> LevelLayer:
    """Weights rounded with one scale for the layer: the largest becomes `max_weight`.

    Raises ModelError for weights that are NaN or infinite.
    """
    if not np.all(np.isfinite(layer.weights)):
        raise ModelError("a layer's weights hold NaN or infinity; train again")
    scale = float(np.abs(layer.weights).max()) / max_weight or 1.0
    levels = np.rint(layer.weights / scale).astype(np.int8)
    return LevelLayer(levels, np.array([scale]), layer.bias)


def fake_quantized(
    layers: Sequence[RealLayer | LevelLayer],
    settled: Sequence[IntegerLayer],
    inputs: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """Logits, float64 (n, classes), of the network in float arithmetic.

    Weights are levels * scale and activations are rounded and saturated as on the device; only
    biases are exact, where the device's are rounded to integers. `settled` is made of `layers`.
    """
    return fake_quantized_layers(layers, settled, inputs)[-1]


def fake_quantized_layers(
    layers: Sequence[RealLayer | LevelLayer],
    settled: Sequence[IntegerLayer],
    inputs: NDArray[np.uint8],
) -> list[NDArray[np.float64]]:
    """As `fake_quantized`, but the outputs of all layers, float64 (n, units) each."""
    values = inputs.astype(np.float64)
    found = []
    for layer, integer in zip(layers, settled, strict=True):
        values = _forward(integer, layer.bias, values)
        found.append(values * integer.scale)
    return found


def _peak(outputs: NDArray[np.float64], saturated: float) -> float:
    """The magnitude that all but that share of the outputs stay within."""
    magnitudes = np.abs(outputs) if saturated == 0 else outputs
    place = min(int(magnitudes.size * (1 - saturated)), magnitudes.size - 1)
    peak = float(np.partition(magnitudes, place, axis=None)[place])
    return peak if peak > 0 else float(magnitudes.max())


def _settle(layer: RealLayer | LevelLayer, place: Place, max_weight: int) -> IntegerLayer:
    if isinstance(layer, RealLayer):
        return scales.by_absorption(layer, place, max_weight)
    if len(layer.scale) > 1:
        return scales.by_rows(layer, place)
    return scales.by_shift(layer, place)


def _outputs(layer: RealLayer | LevelLayer, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Real outputs, float64 (n, out), before the ReLU, of real inputs."""
    if isinstance(layer, RealLayer):
        return values @ layer.weights.T + layer.bias
    return (values @ layer.levels.T.astype(np.float64)) * layer.scale + layer.bias


def _forward(
    layer: IntegerLayer, bias: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Steps of a layer's output, given its real bias and steps of its input; whole numbers."""
    sums = values @ layer.levels.T.astype(np.float64)
    exact_bias = bias / layer.accumulator_scale + layer.half_step
    accumulators = sums * 2.0**layer.input_shift + exact_bias
    steps: NDArray[np.float64] = np.floor(accumulators * layer.factor)
    return np.clip(steps, layer.low, layer.high)


def _check(layer: RealLayer | LevelLayer, number: int) -> None:
    weights = layer.weights if isinstance(layer, RealLayer) else layer.scale
    for what, array in (("weights", weights), ("bias", layer.bias)):
        if not np.all(np.isfinite(array)):
            raise ModelError(f"layer {number}: its {what} hold NaN or infinity; train again")
