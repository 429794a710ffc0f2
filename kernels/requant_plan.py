"""What requantization takes for one layer, from proven bounds; shared by every instruction set.

Emitters ask the plan which steps a layer needs and how many bytes each step's value has, so a
multiplication by one, a saturation that cannot happen or a byte that is always sign costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernels.ir import Range
from kernels.ops.accumulating import Accumulating
from kernels.quant import Requantization


def signed_bytes(*values: int) -> int:
    """The bytes that hold all values in two's complement."""
    size = 1
    while not all(-(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1) for value in values):
        size += 1
    return size


@dataclass(frozen=True, eq=False, slots=True)
class RequantPlan:
    """Bounds of the values from step to step.

    layer: its name. input_shift: how far sums are shifted left before the bias is added.
    acc_bytes: of the accumulator. multiplier_bytes: 0 for a plain shift. product: bounds of
    acc * multiplier + round_bias, and of the product alone. shifted: after shift and zero point.
    clamp_low, clamp_high: saturation bounds, None where nothing can lie beyond them.
    """

    layer: str
    how: Requantization
    input_shift: int
    acc_bytes: int
    multiplier_bytes: int
    product: Range
    shifted: Range
    clamp_low: int | None
    clamp_high: int | None
    output_bytes: int

    @property
    def is_sign(self) -> bool:
        """Whether the output is 1 for accumulators of 0 and above, 0 below."""
        how = self.how
        limits = how.is_shift, how.round_bias, how.zero_point, how.low, how.high
        return limits == (True, 0, 1, 0, 1)

    @property
    def is_identity(self) -> bool:
        """Whether the output is the accumulator, once the bias is added, byte for byte."""
        how = self.how
        steps = how.shift, how.round_bias, how.zero_point, self.input_shift
        clamped = self.clamp_low is not None or self.clamp_high is not None
        whole = self.acc_bytes == self.output_bytes
        return how.is_shift and not any(steps) and not clamped and whole

    @property
    def product_bytes(self) -> int:
        """Bytes of the product with its round bias, at least one more than the shift drops."""
        return max(signed_bytes(self.product.low, self.product.high), self.how.shift // 8 + 1)

    @property
    def shifted_bytes(self) -> int:
        """Bytes for the value from the shift to the saturation, and at least the output's."""
        limits = [value for value in (self.clamp_low, self.clamp_high) if value is not None]
        return max(
            signed_bytes(self.shifted.low, self.shifted.high, *limits),
            self.product_bytes - self.how.shift // 8,
            self.output_bytes,
        )


def plan_requantization(layer: Accumulating, *inputs: Range) -> RequantPlan:
    """The plan of a layer whose inputs lie in these bounds, one for each input."""
    low, high = layer.wrapped_bounds(*inputs)
    how = layer.requantization
    products = np.concatenate([low, high, low * how.multiplier, high * how.multiplier])
    product = Range(int(products.min()), int(products.max()) + how.round_bias)
    ends = (np.concatenate([low * how.multiplier, high * how.multiplier]) + how.round_bias) >> (
        how.shift
    )
    shifted = Range(int(ends.min()) + how.zero_point, int(ends.max()) + how.zero_point)
    return RequantPlan(
        layer=layer.name,
        how=how,
        input_shift=layer.input_shift,
        acc_bytes=layer.accumulator_bits(*inputs) // 8,
        multiplier_bytes=0 if how.is_shift else signed_bytes(int(how.multiplier.max()) >> 1),
        product=product,
        shifted=shifted,
        clamp_low=how.low if shifted.low < how.low else None,
        clamp_high=how.high if shifted.high > how.high else None,
        output_bytes=layer.output.dtype.size,
    )
