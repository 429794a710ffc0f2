"""The three ways to settle a layer's scales; see `models.export.settle`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.ir import frozen_array
from models.errors import ModelError
from models.export.layers import Grid, IntegerLayer, LevelLayer, RealLayer
from models.quantization import MAX_MULTIPLIER, choose_shift, quantize_layer

_BIAS_BITS = 3
MAX_INPUT_SHIFT = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a layer stands.

    number: from 1. input_scale: real value of a step of its input. input_high: the largest input.
    peak: the largest magnitude of its outputs over the calibration inputs, which `levels` steps
    are to reach. dtype, low: its output's dtype and least value, 0 for a ReLU.
    """

    number: int
    input_scale: float
    input_high: int
    peak: float
    levels: int
    dtype: DType
    low: int

    def grid(self, input_shift: int, shift: int, scale: float) -> Grid:
        """The choices for a layer here; what is hidden saturates at its levels."""
        high = self.dtype.high if self.low < 0 else self.levels
        return Grid(str(self.dtype), input_shift, shift, scale, self.low, high)

    @property
    def step(self) -> float:
        """The finest scale that reaches the peak; ModelError where all outputs are zero."""
        if self.peak <= 0:
            raise ModelError(
                f"layer {self.number} gives 0 for every calibration input, so it has no scale; "
                "train again or give other inputs"
            )
        return self.peak / self.levels


def by_shift(layer: LevelLayer, place: Place) -> IntegerLayer:
    """One scale: the output's is the accumulator's times a power of two.

    Hidden outputs reach the calibration's peak. Logits are shifted just so far that none can
    saturate, whatever the input. Where sums of few small inputs would be coarser than an eighth of
    an output's step, and with them the bias, they are shifted left first.
    """
    step = float(layer.scale[0]) * place.input_scale
    if place.low < 0:
        largest = _largest_sum(layer.levels, place.input_high) + np.abs(layer.bias).max() / step
        exponent = max(0, _power_above((largest + 1) / place.dtype.high))
    else:
        exponent = _power_above(place.peak / (place.levels * step))
    input_shift = _input_shift(layer.levels, float(layer.scale[0]), place) if place.peak > 0 else 0
    shift = max(0, exponent + input_shift)
    scale = step * 2.0 ** (shift - input_shift)
    return on_grid(layer, place.grid(input_shift, shift, scale), place.input_scale, place.number)


def by_rows(layer: LevelLayer, place: Place) -> IntegerLayer:
    """Scales per row: an 8-bit multiplier each.

    The largest has at least 7 bits, so that a rounded multiplier costs no output more than two
    steps, whatever its row.
    """
    input_shift = _input_shift(layer.levels, float(layer.scale.max()), place)
    steps = layer.scale * place.input_scale / 2.0**input_shift
    largest = float(steps.max())
    shift, scale = choose_shift(largest, place.step)
    if largest / scale * 2.0**shift < (MAX_MULTIPLIER + 1) / 4:
        shift = math.floor(math.log2(MAX_MULTIPLIER * scale / largest))
    return on_grid(layer, place.grid(input_shift, shift, scale), place.input_scale, place.number)


def by_absorption(layer: RealLayer, place: Place, max_weight: int) -> IntegerLayer:
    """Real weights: scales per row such that 8-bit multipliers are exact."""
    if not np.any(layer.weights):
        raise ModelError(f"layer {place.number} has only zero weights; train again")
    largest = np.abs(layer.weights).max(axis=1, keepdims=True) / max_weight
    levels = layer.weights / np.where(largest > 0, largest, 1.0)
    input_shift = _input_shift(levels, float(largest.max()), place)
    found = quantize_layer(
        layer.weights,
        layer.bias,
        place.input_scale / 2.0**input_shift,
        place.step * place.levels,
        place.levels,
        max_weight=max_weight,
    )
    grid = place.grid(input_shift, found.shift, found.scale)
    return _integers(place.number, found.weights, layer.bias, found.multiplier, grid)


def on_grid(layer: LevelLayer, grid: Grid, input_scale: float, number: int) -> IntegerLayer:
    """The integers of a layer for which everything is chosen.

    input_scale: real value of a step of its input. number: the layer's, from 1, for ModelError,
    which is raised where a bias does not fit 32 bits.
    """
    steps = layer.scale * input_scale / 2.0**grid.input_shift
    if len(steps) == 1:
        multiplier = np.ones(1)
        grid = replace(grid, scale=float(steps[0]) * 2.0**grid.shift)
    else:
        multiplier = np.rint(steps / grid.scale * 2.0**grid.shift).clip(1, MAX_MULTIPLIER)
    return _integers(number, layer.levels, layer.bias, multiplier, grid)


def _input_shift(levels: NDArray[Any], scale: float, place: Place) -> int:
    """How far sums are shifted left, so that biases are no coarser than an eighth of a step.

    A quarter will do where it keeps accumulators within 16 bits; they never exceed 24. levels:
    (out, in). scale: the largest of the rows'.
    """
    if place.low < 0:
        return 0
    wanted = _power_above(scale * place.input_scale / place.step) + _BIAS_BITS
    largest = max(_largest_sum(levels, place.input_high), 1.0)
    if wanted - 1 <= _room(16, largest):
        wanted = min(wanted, _room(16, largest))
    return max(0, min(wanted, _room(24, largest), MAX_INPUT_SHIFT))


def _room(bits: int, largest: float) -> int:
    """How far sums up to `largest` can be shifted left, with an eighth to spare for biases."""
    return math.floor(math.log2(0.875 * (1 << (bits - 1)) / largest))


def _power_above(ratio: float) -> int:
    """The least n for which 2**n >= ratio; 0 for a ratio of 0."""
    return math.ceil(math.log2(ratio)) if ratio > 0 else 0


def _largest_sum(levels: NDArray[Any], input_high: int) -> float:
    """The largest magnitude that sums of levels (out, in) times inputs up to input_high reach."""
    wide = levels.astype(np.float64)
    rise, fall = np.maximum(wide, 0).sum(axis=1), np.maximum(-wide, 0).sum(axis=1)
    return float(max(rise.max(), fall.max())) * input_high


def _integers(
    number: int,
    levels: NDArray[np.int8],
    bias: NDArray[np.float64],
    multiplier: NDArray[Any],
    grid: Grid,
) -> IntegerLayer:
    """Round the bias, real values (out,), and add the half step."""
    unbiased = IntegerLayer(
        levels=cast("NDArray[np.int8]", frozen_array(levels, np.int8)),
        bias=cast("NDArray[np.int32]", frozen_array(np.zeros(len(bias)), np.int32)),
        multiplier=cast("NDArray[np.int64]", frozen_array(multiplier, np.int64)),
        shift=grid.shift,
        scale=grid.scale,
        dtype=grid.dtype,
        low=grid.low,
        high=grid.high,
        input_shift=grid.input_shift,
    )
    real_bias = bias / unbiased.accumulator_scale + unbiased.half_step
    largest = float(np.abs(real_bias).max())
    if largest >= 1 << 31:
        raise ModelError(
            f"layer {number}: a bias of {largest:.3g} steps does not fit 32 bits; "
            "its weights are too small beside it"
        )
    rounded = cast("NDArray[np.int32]", frozen_array(np.rint(real_bias), np.int32))
    return replace(unbiased, bias=rounded)
