"""Argmax: the index of the first strict maximum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import UINT8
from kernels.ir import Range, Sharing, Tensor


@dataclass(frozen=True, eq=False)
class Argmax:
    """The index, uint8 (1,), of the largest element; the first one among equals."""

    name: str
    input: Tensor
    output: Tensor

    sharing = Sharing.NONE
    macs = 0
    nnz = 0

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.input.name,)

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule: at most 256 elements, one byte out."""
        found = []
        if inputs[0] != self.input:
            found.append(f"was built for input {self.input}, the graph has {inputs[0]}")
        if self.input.count > 256:
            found.append(f"{self.input.count} elements; an index of one byte reaches 256")
        if self.output.shape != (1,) or self.output.dtype != UINT8:
            found.append("output must be uint8 (1,)")
        return found

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Indices, int64 (batch, 1)."""
        (x,) = inputs
        index: NDArray[np.int64] = np.argmax(x.reshape(len(x), -1), axis=1, keepdims=True)
        return index

    def output_range(self, *inputs: Range) -> Range:  # noqa: ARG002 - any input gives any index
        """Any index."""
        return Range(0, self.input.count - 1)
