"""Sums of 8 bits: where the sum of a layer's inputs is bounded, sums of products can be, too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.avr.active_list import ACTIVE
from kernels.emit import Job
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan


@dataclass(frozen=True, eq=False)
class NarrowSums:
    """Sums of 8 bits: sum + starts - middle, times 2**input_shift, plus rests, is the accumulator.

    starts: where each sum starts, so that none ever leaves 0..255. middle: below it an accumulator
    is below zero. rests: less than 2**input_shift.
    """

    starts: NDArray[np.int64]
    middle: int
    rests: NDArray[np.int64]


def narrow_sums(job: Job, layer: Linear, plan: RequantPlan) -> NarrowSums | None:
    """Narrow sums, where the layer's bounds allow them and its end can do with them."""
    x, how = job.ranges[layer.input.name], layer.requantization
    low, high = layer.accumulator_bounds(x)
    wraps = layer.wrap is not None and not (
        -(1 << (layer.wrap - 1)) <= low.min() and high.max() < 1 << (layer.wrap - 1)
    )
    plain = job.writes is ACTIVE and how.is_shift and how.round_bias == 0
    if not plain or wraps or how.shift > layer.input_shift or plan.clamp_high is not None:
        return None
    if job.reads is ACTIVE or x.low < 0 or x.high > 255:
        return None
    whole, rests = np.divmod(layer.folded_bias, 1 << layer.input_shift)
    least, most = (end >> layer.input_shift for end in (low, high))
    if most.max() - least.min() > 255 or least.min() > 0:
        return None
    middle = -int(least.min())
    return NarrowSums(whole + middle, middle, rests)
