"""What ops that add up in an accumulator and requantize it share: bounds, widths, refusal."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kernels.bounds import Pair
from kernels.errors import AccumulatorOverflow
from kernels.ir import Range, Tensor
from kernels.quant import Requantization, requantize, wrap

WIDEST_ACCUMULATOR = 32


class Accumulating:
    """A base of ops' records: y = requantize(acc), acc proven to fit, or meant to wrap.

    wrap: None where the accumulator must hold every value; 16, 24 or 32 where the model means it
    to wrap modulo 2**wrap. input_shift: a power of two common to all that is summed.
    """

    name: str
    output: Tensor
    requantization: Requantization
    input_shift: int = 0
    wrap: int | None = None
    mend: ClassVar[str]
    """What helps where no accumulator holds the bounds."""

    def accumulator_bounds(self, *inputs: Range) -> Pair:
        """Per channel, the lowest and highest accumulator, int64 (channels,) each.

        Kernels add modulo 2**bits, so partial sums may leave these bounds; the final ones do not.
        """
        raise NotImplementedError

    def accumulator_bits(self, *inputs: Range) -> int:
        """The narrowest of 16, 24, 32 bits that holds every accumulator, or the graph's wrap."""
        if self.wrap is not None:
            return self.wrap
        low, high = self.accumulator_bounds(*inputs)
        self._check(low, high)
        for bits in (16, 24):
            half = 1 << (bits - 1)
            if low.min() >= -half and high.max() < half:
                return bits
        return WIDEST_ACCUMULATOR

    def wrapped_bounds(self, *inputs: Range) -> Pair:
        """Per channel, the bounds of the accumulator after any wrap.

        AccumulatorOverflow where 32 bits do not hold them.
        """
        low, high = self.accumulator_bounds(*inputs)
        if self.wrap is None:
            self._check(low, high)
            return low, high
        half = 1 << (self.wrap - 1)
        fits = (low >= -half) & (high < half)
        return np.where(fits, low, -half), np.where(fits, high, half - 1)

    def output_range(self, *inputs: Range) -> Range:
        """Requantization is monotone, so it maps the accumulators' bounds to the output's."""
        low, high = self.wrapped_bounds(*inputs)
        how = self.requantization
        return Range(int(requantize(low, how).min()), int(requantize(high, how).max()))

    def finish(self, acc: NDArray[np.int64]) -> NDArray[np.int64]:
        """Activations of exact accumulators, int64 (batch, ..., channels) both.

        AccumulatorOverflow where an accumulator that may not wrap exceeds 32 bits.
        """
        if self.wrap is not None:
            acc = wrap(acc, self.wrap)
        else:
            others = tuple(range(acc.ndim - 1))
            self._check(acc.min(axis=others), acc.max(axis=others))
        return requantize(acc, self.requantization)

    def _check(self, low: NDArray[np.int64], high: NDArray[np.int64]) -> None:
        half = 1 << (WIDEST_ACCUMULATOR - 1)
        bad = np.flatnonzero((low < -half) | (high >= half))
        if bad.size:
            unit = int(bad[0])
            bounds = int(low[unit]), int(high[unit])
            raise AccumulatorOverflow(self.name, unit, bounds, WIDEST_ACCUMULATOR, self.mend)

    def _requantization_problems(self, channels: int) -> list[str]:
        how = self.requantization
        found = how.problems(channels)
        if Range(how.low, how.high) not in Range(self.output.dtype.low, self.output.dtype.high):
            found.append(f"saturation [{how.low}, {how.high}] is outside {self.output.dtype}")
        if how.zero_point != self.output.zero_point:
            found.append("the requantization's zero point is not the output tensor's")
        return found
