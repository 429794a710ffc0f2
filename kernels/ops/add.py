"""Add: two tensors of different scales, element by element, as a residual connection needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.bounds import Pair
from kernels.ir import Range, Sharing, Tensor
from kernels.ops.accumulating import Accumulating
from kernels.quant import MAX_MULTIPLIER, Requantization


@dataclass(frozen=True, eq=False)
class Add(Accumulating):
    """y = requantize(acc), acc = sum over both operands of multiplier * (x - x.zero_point).

    The factor of an operand, its scale over the output's, is multiplier / 2**shift: multipliers
    are in [1, 65535], the requantization is a plain shift with rounding, zero point and bounds.
    """

    name: str
    left: Tensor
    right: Tensor
    output: Tensor
    multipliers: tuple[int, int]
    requantization: Requantization

    sharing = Sharing.IN_PLACE
    mend = "bound the inputs more tightly, or take smaller multipliers and a smaller shift"
    macs = 0
    nnz = 0

    @property
    def operands(self) -> tuple[tuple[Tensor, int], tuple[Tensor, int]]:
        """Each tensor with its multiplier."""
        return (self.left, self.multipliers[0]), (self.right, self.multipliers[1])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read; twice the same where a tensor is doubled."""
        return (self.left.name, self.right.name)

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """Shape rule and parameter ranges."""
        found = []
        for built, given in zip((self.left, self.right), inputs, strict=True):
            if built != given:
                found.append(f"was built for input {built}, the graph has {given}")
        if not self.left.shape == self.right.shape == self.output.shape:
            found.append("both inputs and the output must have one shape")
        if min(self.multipliers) < 1 or max(self.multipliers) > MAX_MULTIPLIER:
            found.append(f"multipliers must be in [1, {MAX_MULTIPLIER}]")
        if not self.requantization.is_shift:
            found.append("the requantization must be a plain shift: operands have the multipliers")
        return found + self._requantization_problems(1)

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Activations, int64, in the inputs' shape."""
        acc = sum(
            (x - tensor.zero_point) * multiplier
            for x, (tensor, multiplier) in zip(inputs, self.operands, strict=True)
        )
        assert isinstance(acc, np.ndarray)
        return self.finish(acc[..., np.newaxis])[..., 0]

    def accumulator_bounds(self, *inputs: Range) -> Pair:
        """Bounds of the weighted sum, int64 (1,) each."""
        pairs = list(zip(inputs, self.operands, strict=True))
        low = sum((x.low - tensor.zero_point) * factor for x, (tensor, factor) in pairs)
        high = sum((x.high - tensor.zero_point) * factor for x, (tensor, factor) in pairs)
        return np.array([low], np.int64), np.array([high], np.int64)
