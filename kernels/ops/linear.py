"""Linear: a matrix-vector product with bias, requantization and fused ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Tensor
from kernels.ops.matrix_product import MatrixProduct


@dataclass(frozen=True, eq=False)
class Linear(MatrixProduct):
    """One row of weights, int8 (out, in), for each output; see `MatrixProduct`."""

    @property
    def matrix(self) -> NDArray[np.int8]:
        """The weights themselves."""
        return self.weights

    @property
    def macs(self) -> int:
        """One multiply-accumulate per weight."""
        return int(self.weights.size)

    @property
    def nnz(self) -> int:
        """Weights that are not zero."""
        return int(np.count_nonzero(self.weights))

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule, dtypes and parameter ranges."""
        if self.weights.ndim != 2 or self.weights.shape[1] != self.input.count:
            return [f"weights have shape {self.weights.shape}, expected (out, {self.input.count})"]
        found = self._common_problems(inputs)
        if self.output.shape != self.weights.shape[:1]:
            found.append(f"output has shape {self.output.shape}, expected {self.weights.shape[:1]}")
        return found

    def accumulate(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Exact accumulators, int64 (batch, out), before any wrap."""
        dot: NDArray[np.int64] = (x - self.input.zero_point) @ self.weights.T.astype(np.int64)
        return (dot << self.input_shift) + self.bias

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Activations, int64 (batch, out); AccumulatorOverflow where 32 bits do not hold."""
        (x,) = inputs
        return self.finish(self.accumulate(x.reshape(len(x), -1)))
