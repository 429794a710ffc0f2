"""Linear: a matrix-vector product with bias, requantization and fused ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels.exact import exact_product
from kernels.ir import Bounds, Range, Tensor, frozen_array
from kernels.ops.matrix_product import MatrixProduct
from kernels.quant import requantize, wrap


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

    @property
    def used_inputs(self) -> NDArray[np.bool_]:
        """Inputs that any weight uses, bool (in,)."""
        used: NDArray[np.bool_] = np.any(self.weights != 0, axis=0)
        return used

    def with_units(self, keep: NDArray[np.int64], output: Tensor) -> Linear:
        """The layer with only these units, in that order, writing `output`."""
        how = self.requantization
        multiplier = how.per_channel(len(self.bias))[keep] if how.multiplier.size > 1 else None
        return replace(
            self,
            output=output,
            weights=frozen_array(self.weights[keep], np.int8),
            bias=frozen_array(self.bias[keep], np.int32),
            requantization=how
            if multiplier is None
            else replace(how, multiplier=frozen_array(multiplier, np.int64)),
        )

    def with_inputs(
        self, keep: NDArray[np.int64], values: NDArray[np.int64], source: Tensor
    ) -> Linear | None:
        """The layer reading only `keep` of its inputs; the bias takes what the others add.

        None where 32 bits do not hold that bias and the accumulator does not wrap.
        """
        gone = np.setdiff1d(np.arange(self.weights.shape[1]), keep)
        constant = self.weights[:, gone].astype(np.int64) @ (values[gone] - self.input.zero_point)
        bias = self.bias + (constant << self.input_shift)
        if np.any(bias != bias.astype(np.int32)):
            if self.wrap is None:
                return None
            bias = wrap(bias, self.wrap)
        weights = frozen_array(self.weights[:, keep], np.int8)
        return replace(self, input=source, weights=weights, bias=frozen_array(bias, np.int32))

    def accumulate(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Exact accumulators, int64 (batch, out), before any wrap."""
        dot = exact_product(x - self.input.zero_point, self.weights.T.astype(np.int64))
        return (dot << self.input_shift) + self.bias

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Activations, int64 (batch, out); AccumulatorOverflow where 32 bits do not hold."""
        (x,) = inputs
        return self.finish(self.accumulate(x.reshape(len(x), -1)))

    def output_range(self, *inputs: Range) -> Range:
        """Of each unit by itself."""
        low, high = self.wrapped_bounds(*inputs)
        how = self.requantization
        return Bounds.of(requantize(low, how), requantize(high, how))
