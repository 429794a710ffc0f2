"""Flatten: the same values in the same order, in one axis or any other shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Range, Sharing, Tensor
from kernels.ops.unary import Unary


@dataclass(frozen=True, eq=False)
class Flatten(Unary):
    """Mostly (height, width, channels) to one axis: rows, then pixels, then channels.

    On the device nothing moves: both tensors have one place in the arena. PyTorch flattens
    (channels, height, width), so what reads the result must have its weights permuted; the importer
    does that.
    """

    sharing = Sharing.VIEW

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule; dtype, scale and zero point stay."""
        found = self._source_problems(inputs) + self._same_type_problems()
        if self.output.count != self.input.count:
            found.append(f"output has {self.output.count} elements, input {self.input.count}")
        return found

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The values, int64 (batch, *output shape)."""
        (x,) = inputs
        return x.reshape(len(x), *self.output.shape)

    def output_range(self, *inputs: Range) -> Range:
        """The input's."""
        return inputs[0]
