"""AvgPool: the mean of every window, channel by channel, as an exact sum that is requantized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels.bounds import Pair
from kernels.ir import Range, Tensor
from kernels.ops.accumulating import Accumulating
from kernels.ops.pooling import Pooling
from kernels.quant import Requantization


@dataclass(frozen=True, eq=False)
class AvgPool(Pooling, Accumulating):
    """y = requantize(acc), acc = sum over the window of (x - x.zero_point).

    The division by the window's area is part of the requantization's one multiplier and shift.
    Padding counts as zeros of the window (torch's count_include_pad): the divisor is always the
    window's area.
    """

    requantization: Requantization = field(kw_only=True)

    mend = "bound the input more tightly, or take a smaller window"

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule and parameter ranges."""
        return self._pooling_problems(inputs) + self._requantization_problems(1)

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Activations, int64 (batch, rows, columns, channels)."""
        (x,) = inputs
        x = x.reshape(len(x), *self.image) - self.input.zero_point
        sums: NDArray[np.int64] = self.window.gather(x, 0).sum(axis=(3, 4))
        return self.finish(sums)

    def accumulator_bounds(self, *inputs: Range) -> Pair:
        """Bounds of the sum, int64 (1,) each."""
        (x,) = inputs
        low, high = x.low - self.input.zero_point, x.high - self.input.zero_point
        if any(self.window.padding):
            low, high = min(low, 0), max(high, 0)
        area = self.window.area
        return np.array([low * area], np.int64), np.array([high * area], np.int64)
