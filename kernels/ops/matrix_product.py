"""What Linear and the convolutions share: a matrix of weights, times vectors of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.bounds import Pair
from kernels.ir import Range, Sharing, Tensor
from kernels.ops.accumulating import Accumulating
from kernels.quant import Requantization


@dataclass(frozen=True, eq=False)
class MatrixProduct(Accumulating):
    """y = requantize(acc), acc = bias + (sum of weights * (x - x.zero_point) << input_shift).

    weights: int8 (out, ...); bias: int32 (out,). Each op says which inputs meet a row of weights.
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

    sharing = Sharing.NONE
    mend = "bound the input more tightly, scale the weights down, or mark the layer wrap"

    @property
    def matrix(self) -> NDArray[np.int8]:
        """The weights as an encoding takes them, int8 (out, inputs), in the device's order."""
        raise NotImplementedError

    def factors(self, x: Range) -> Range:
        """What a weight can be multiplied with, where the input lies in x; zero point included."""
        return x

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        return (self.input.name,)

    @cached_property
    def folded_bias(self) -> NDArray[np.int64]:
        """Bias with the input's zero point folded in, int64 (out,)."""
        sums = self.matrix.astype(np.int64).sum(axis=1)
        folded: NDArray[np.int64] = self.bias - ((sums * self.input.zero_point) << self.input_shift)
        return folded

    def accumulator_bounds(self, *inputs: Range) -> Pair:
        """Per unit, the lowest and highest accumulator, int64 (out,) each."""
        if inputs not in self._bounds:
            x = self.factors(*inputs)
            pair = x.products(self.matrix.astype(np.int64), self.input.zero_point)
            self._bounds[inputs] = tuple(self.bias + (side << self.input_shift) for side in pair)
        low, high = self._bounds[inputs]
        return low.copy(), high.copy()

    @cached_property
    def _bounds(self) -> dict[tuple[Range, ...], tuple[NDArray[np.int64], ...]]:
        """Those that were asked for: kernels ask again and again."""
        return {}

    def _common_problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Dtypes and parameter ranges; nothing about the weights' shape but the first axis."""
        found = []
        channels = self.weights.shape[0]
        if inputs[0] != self.input:
            found.append(f"was built for input {self.input}, the graph has {inputs[0]}")
        if self.weights.dtype != np.int8 or self.bias.dtype != np.int32:
            found.append("weights must be int8 and bias int32")
        if self.bias.shape != (channels,):
            found.append(f"bias has shape {self.bias.shape}, expected ({channels},)")
        if not 0 <= self.input_shift <= 8:
            found.append(f"input_shift {self.input_shift} is outside [0, 8]")
        if self.wrap not in {None, 16, 24, 32}:
            found.append(f"wrap {self.wrap} is none of 16, 24, 32")
        return found + self._requantization_problems(channels)
