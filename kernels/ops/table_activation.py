"""TableActivation: any function of one byte, as a table of its 256 values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Range, Sharing, Tensor
from kernels.ops.unary import Unary


@dataclass(frozen=True, eq=False)
class TableActivation(Unary):
    """y = table[x - lowest x]: sigmoid, tanh, or whatever else; the input has 8 bits.

    table: int64 (256,), the results for the input dtype's values from its lowest up; each within
    the output's dtype, of 8 or 16 bits.
    """

    table: NDArray[np.int64]

    sharing = Sharing.IN_PLACE

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule and the table's values."""
        found = self._source_problems(inputs)
        if self.input.dtype.bits != 8:
            found.append(f"input is {self.input.dtype}; a table of 256 values takes 8 bits")
        if self.output.shape != self.input.shape:
            found.append(f"output has shape {self.output.shape}, expected {self.input.shape}")
        if self.table.shape != (256,):
            return [*found, f"table has shape {self.table.shape}, expected (256,)"]
        dtype = self.output.dtype
        if self.table.min() < dtype.low or self.table.max() > dtype.high:
            found.append(f"table leaves the range of {dtype}")
        return found

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The table's values, int64, in the input's shape."""
        (x,) = inputs
        return self.table[x - self.input.dtype.low]

    def output_range(self, *inputs: Range) -> Range:
        """The extremes of what the input can select."""
        first = self.input.dtype.low
        selected = self.table[inputs[0].low - first : inputs[0].high - first + 1]
        return Range(int(selected.min()), int(selected.max()))
