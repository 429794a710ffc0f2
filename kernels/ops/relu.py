"""Relu: values cut off below, and where it is clipped also above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Range, Sharing, Tensor
from kernels.ops.unary import Unary


@dataclass(frozen=True, eq=False)
class Relu(Unary):
    """y = min(max(x, low), high), on stored values; dtype, scale and zero point stay.

    low: the zero point for a ReLU, lower for other clamps; None for no bound. high: None but for
    a clipped one.
    """

    low: int | None
    high: int | None = None

    sharing = Sharing.IN_PLACE

    @property
    def bounds(self) -> Range:
        """Least and largest result, the dtype's where there is no bound."""
        dtype = self.input.dtype
        return Range(
            dtype.low if self.low is None else self.low,
            dtype.high if self.high is None else self.high,
        )

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule; bounds within the dtype."""
        found = self._source_problems(inputs) + self._same_type_problems()
        if self.output.shape != self.input.shape:
            found.append(f"output has shape {self.output.shape}, expected {self.input.shape}")
        dtype, bounds = self.input.dtype, self.bounds
        if bounds not in Range(dtype.low, dtype.high) or bounds.low > bounds.high:
            found.append(f"bounds [{bounds.low}, {bounds.high}] are empty or outside {dtype}")
        return found

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The values within the bounds, int64, in the input's shape."""
        (x,) = inputs
        clipped: NDArray[np.int64] = np.clip(x, self.bounds.low, self.bounds.high)
        return clipped

    def output_range(self, *inputs: Range) -> Range:
        """The input's, clipped."""
        (x,), bounds = inputs, self.bounds
        return Range(
            min(max(x.low, bounds.low), bounds.high), min(max(x.high, bounds.low), bounds.high)
        )
