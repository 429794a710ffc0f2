"""Post-training quantization of a linear layer, so that requantizing is cheap and exact.

Weights are symmetric int8, with one scale per output channel. A channel's scale is not free: it is

    weight_scale = multiplier * output_scale / (2**shift * input_scale)

for an integer multiplier in [1, 255], so that requantizing by `multiplier / 2**shift` is the real
factor, not an approximation of it. The multiplier is rounded up, hence weights stay in
[-127, 127]; that costs a channel under 1 / multiplier of its range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kernels.ir import frozen_array

MAX_WEIGHT = 127
MAX_MULTIPLIER = 255
_MOST_LEVELS_LOST = 2.0
_MOST_MULTIPLIER_BITS_LOST = 4
_LARGEST_SHIFT = 24


@dataclass(frozen=True, eq=False, slots=True)
class QuantizedLayer:
    """A linear layer's integers; `scale` is the real value of one step of its output.

    weights: int8 (out, in). bias: int32 (out,). multiplier: uint8 (out,), none of them zero.
    """

    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.uint8]
    shift: int
    scale: float


def quantize_layer(
    weights: NDArray[np.floating],
    bias: NDArray[np.floating],
    input_scale: float,
    peak: float,
    levels: int,
    *,
    max_weight: int = MAX_WEIGHT,
) -> QuantizedLayer:
    """Quantize float weights (out, in) and bias (out,).

    peak: the largest output that must be represented, `levels` steps from zero. max_weight: the
    largest integer weight, 127 for int8 and 7 for int4.

    Raises ValueError for a layer that is zero throughout, or a bias beyond 32 bits.
    """
    w = weights.astype(np.float64)
    least_scale = np.abs(w).max(axis=1) / max_weight
    if peak <= 0 or not least_scale.any():
        raise ValueError("a layer whose weights or outputs are all zero has no scale")
    shift, scale = choose_shift(float(least_scale.max()) * input_scale, peak / levels)
    factor = least_scale * input_scale / scale
    # At least 1, also for a channel that has no weights.
    multiplier = np.clip(np.ceil(factor * 2.0**shift), 1, MAX_MULTIPLIER)
    weight_scale = multiplier * scale / (2.0**shift * input_scale)
    quantized = np.rint(w / weight_scale[:, None]).clip(-max_weight, max_weight)
    accumulator_scale = weight_scale * input_scale
    quantized_bias = np.rint(bias.astype(np.float64) / accumulator_scale).astype(np.int64)
    return QuantizedLayer(
        weights=cast("NDArray[np.int8]", frozen_array(quantized, np.int8)),
        bias=cast("NDArray[np.int32]", frozen_array(quantized_bias, np.int32)),
        multiplier=cast("NDArray[np.uint8]", frozen_array(multiplier, np.uint8)),
        shift=shift,
        scale=scale,
    )


def choose_shift(step: float, scale: float) -> tuple[int, float]:
    """A shift, and an output scale of at least `scale`, that keep multipliers within 8 bits.

    step: the largest real value, over the channels, of one accumulator unit. A shift by whole
    bytes costs an 8-bit CPU nothing, so the next multiple of 8 is taken where it costs little:
    up, by a coarser output (at most half of its levels), or down, by smaller multipliers.
    """
    exact = math.floor(math.log2(MAX_MULTIPLIER * scale / step))
    exact = min(max(0, exact), _LARGEST_SHIFT)
    up, down = -(-exact // 8) * 8, exact // 8 * 8
    coarser = step * 2.0**up / MAX_MULTIPLIER
    if coarser <= scale * _MOST_LEVELS_LOST:
        return up, max(scale, coarser)
    if exact - down <= _MOST_MULTIPLIER_BITS_LOST:
        return down, max(scale, step * 2.0**down / MAX_MULTIPLIER)
    return exact, max(scale, step * 2.0**exact / MAX_MULTIPLIER)
