"""Linear: a matrix-vector product with bias, requantization and fused ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.errors import AccumulatorOverflow
from kernels.ir import Range, Tensor
from kernels.quant import Requantization, requantize, wrap

WIDEST_ACCUMULATOR = 32


@dataclass(frozen=True, eq=False)
class Linear:
    """y = requantize(acc), acc = bias + (sum of weights * (x - x.zero_point) << input_shift).

    weights: int8 (out, in); bias: int32 (out,).
    input_shift: a power of two common to all inputs, kept out of the products.
    wrap: None where the accumulator must hold every value (its width is proven); 16 or 24 or 32
    where the model means it to wrap modulo 2**wrap.
    """

    name: str
    input: Tensor
    output: Tensor
    weights: NDArray[np.int8]
    bias: NDArray[np.int32]
    requantization: Requantization
    input_shift: int = 0
    wrap: int | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.input.name,)

    @property
    def macs(self) -> int:
        """One multiply-accumulate per weight."""
        return int(self.weights.size)

    @property
    def nnz(self) -> int:
        """Weights that are not zero."""
        return int(np.count_nonzero(self.weights))

    @cached_property
    def folded_bias(self) -> NDArray[np.int64]:
        """Bias with the input's zero point folded in, int64 (out,)."""
        sums = self.weights.astype(np.int64).sum(axis=1)
        folded: NDArray[np.int64] = self.bias - ((sums * self.input.zero_point) << self.input_shift)
        return folded

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule, dtypes and parameter ranges."""
        found = []
        (source,) = inputs
        if source != self.input:
            found.append(f"was built for input {self.input}, the graph has {source}")
        if self.weights.dtype != np.int8 or self.bias.dtype != np.int32:
            found.append("weights must be int8 and bias int32")
        if self.weights.ndim != 2 or self.weights.shape[1] != self.input.count:
            found.append(
                f"weights have shape {self.weights.shape}, expected (out, {self.input.count})"
            )
            return found
        channels = self.weights.shape[0]
        if self.bias.shape != (channels,):
            found.append(f"bias has shape {self.bias.shape}, expected ({channels},)")
        if self.output.shape != (channels,):
            found.append(f"output has shape {self.output.shape}, expected ({channels},)")
        if not 0 <= self.input_shift <= 8:
            found.append(f"input_shift {self.input_shift} is outside [0, 8]")
        if self.wrap not in {None, 16, 24, 32}:
            found.append(f"wrap {self.wrap} is none of 16, 24, 32")
        return found + self._requantization_problems(channels)

    def _requantization_problems(self, channels: int) -> list[str]:
        how = self.requantization
        found = how.problems(channels)
        if Range(how.low, how.high) not in Range(self.output.dtype.low, self.output.dtype.high):
            found.append(f"saturation [{how.low}, {how.high}] is outside {self.output.dtype}")
        if how.zero_point != self.output.zero_point:
            found.append("the requantization's zero point is not the output tensor's")
        return found

    def accumulate(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Exact accumulators, int64 (batch, out), before any wrap."""
        dot: NDArray[np.int64] = (x - self.input.zero_point) @ self.weights.T.astype(np.int64)
        return (dot << self.input_shift) + self.bias

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Activations, int64 (batch, out); AccumulatorOverflow where 32 bits do not hold."""
        (x,) = inputs
        acc = self.accumulate(x.reshape(len(x), -1))
        if self.wrap is not None:
            acc = wrap(acc, self.wrap)
        else:
            self._check(acc.min(axis=0), acc.max(axis=0))
        return requantize(acc, self.requantization)

    def accumulator_bounds(self, x: Range) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Per unit, the lowest and highest accumulator, int64 (out,) each.

        Kernels add modulo 2**bits, so partial sums may leave these bounds; the final ones do not.
        """
        low, high = x.low - self.input.zero_point, x.high - self.input.zero_point
        w = self.weights.astype(np.int64)
        least = np.minimum(w * low, w * high).sum(axis=1) << self.input_shift
        most = np.maximum(w * low, w * high).sum(axis=1) << self.input_shift
        return self.bias + least, self.bias + most

    def accumulator_bits(self, x: Range) -> int:
        """The narrowest of 16, 24, 32 bits that holds every accumulator, or the graph's wrap."""
        if self.wrap is not None:
            return self.wrap
        low, high = self.accumulator_bounds(x)
        self._check(low, high)
        for bits in (16, 24):
            half = 1 << (bits - 1)
            if low.min() >= -half and high.max() < half:
                return bits
        return WIDEST_ACCUMULATOR

    def output_range(self, *inputs: Range) -> Range:
        """Requantization is monotone, so it maps the accumulators' bounds to the output's.

        AccumulatorOverflow where 32 bits do not hold them.
        """
        (x,) = inputs
        low, high = self.accumulator_bounds(x)
        if self.wrap is not None:
            half = 1 << (self.wrap - 1)
            fits = (low >= -half) & (high < half)
            low, high = np.where(fits, low, -half), np.where(fits, high, half - 1)
        else:
            self._check(low, high)
        how = self.requantization
        return Range(int(requantize(low, how).min()), int(requantize(high, how).max()))

    def _check(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> None:
        half = 1 << (WIDEST_ACCUMULATOR - 1)
        bad = np.flatnonzero((low < -half) | (high >= half))
        if bad.size:
            unit = int(bad[0])
            raise AccumulatorOverflow(
                self.name, unit, int(low[unit]), int(high[unit]), WIDEST_ACCUMULATOR
            )
