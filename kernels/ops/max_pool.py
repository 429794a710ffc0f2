"""MaxPool: the largest value of every window, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Range, Tensor
from kernels.ops.pooling import Pooling


@dataclass(frozen=True, eq=False)
class MaxPool(Pooling):
    """Values as they are stored; pixels in the padding never win."""

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule; dtype, scale and zero point stay."""
        return self._pooling_problems(inputs) + self._same_type_problems()

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The largest, int64 (batch, rows, columns, channels)."""
        (x,) = inputs
        x = x.reshape(len(x), *self.image)
        largest: NDArray[np.int64] = self.window.gather(x, self.input.dtype.low).max(axis=(3, 4))
        return largest

    def output_range(self, *inputs: Range) -> Range:
        """The input's: every window holds at least one pixel of it."""
        return Range(inputs[0].low, inputs[0].high)
