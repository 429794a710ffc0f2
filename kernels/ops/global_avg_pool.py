"""GlobalAvgPool: the mean of each channel of an image or a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels.bounds import Pair
from kernels.ir import Range, Tensor
from kernels.ops.accumulating import Accumulating
from kernels.ops.unary import Unary
from kernels.ops.window import Image, Window, as_image
from kernels.quant import Requantization


@dataclass(frozen=True, eq=False)
class GlobalAvgPool(Unary, Accumulating):
    """y = requantize(acc), acc = sum over all pixels of (x - x.zero_point); shape (channels,).

    The division by the number of pixels is part of the requantization's one multiplier and shift.
    """

    requantization: Requantization = field(kw_only=True)

    mend = "bound the input more tightly, or take the mean of a smaller image"

    @property
    def image(self) -> Image:
        """Height, width and channels of the input."""
        return as_image(self.input.shape)

    @property
    def window(self) -> Window:
        """The whole image."""
        return Window(self.image[:2])

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule and parameter ranges."""
        if len(self.input.shape) not in {2, 3}:
            return [f"input has shape {self.input.shape}, expected an image or a sequence"]
        found = self._source_problems(inputs) + self._requantization_problems(1)
        if self.output.shape != self.input.shape[-1:]:
            found.append(f"output has shape {self.output.shape}, expected {self.input.shape[-1:]}")
        return found

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Activations, int64 (batch, channels)."""
        (x,) = inputs
        sums: NDArray[np.int64] = (x - self.input.zero_point).reshape(
            len(x), -1, self.input.shape[-1]
        )
        return self.finish(sums.sum(axis=1))

    def accumulator_bounds(self, *inputs: Range) -> Pair:
        """Bounds of the sum, int64 (1,) each."""
        (x,) = inputs
        zero, area = self.input.zero_point, self.window.area
        return (
            np.array([(x.low - zero) * area], np.int64),
            np.array([(x.high - zero) * area], np.int64),
        )
