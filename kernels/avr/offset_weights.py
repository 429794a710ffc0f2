"""Weights with an offset on AVR: both factors multiply unsigned, and the offsets come off again.

    sum(w * x) = sum((w + o) * u) - o * sum(u) - offset * sum(w),  u = x + offset
The middle term is summed once a layer and is where accumulators start; the last one is in the bias.
All is modulo 2**bits of the accumulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from kernels.avr.memory import load
from kernels.avr.multiply import product
from kernels.avr.stationary import Stationary
from kernels.avr.sum_inputs import sum_inputs


@dataclass(frozen=True)
class OffsetWeights(Stationary):
    """What kernels share whose weights are stored with an offset, a power of two.

    Accumulators lie one after the other from r2 on.
    """

    encoding: ModuleType
    first = 2  # accumulators' first register
    zero = 23

    @property
    def inputs(self) -> tuple[int, ...]:
        """Registers of an input, the lowest byte first."""
        return (24, 25)[: self.layer.input.dtype.size]

    @property
    def zero_test(self) -> str:
        """Of one or two bytes."""
        low, *high = self.inputs
        return f"mov   r0, r{low}\nor    r0, r{high[0]}" if high else f"tst   r{low}"

    @cached_property
    def offset(self) -> int:
        """What makes every input unsigned: 0 where it is already."""
        return 0 if self.x.low >= 0 else 1 << (self.layer.input.dtype.bits - 1)

    @property
    def bias(self) -> NDArray[np.int64]:
        """Less what the inputs' offset adds to the products."""
        sums = self.layer.weights.astype(np.int64).sum(axis=1)
        bias: NDArray[np.int64] = self.layer.folded_bias - (
            (self.offset * sums) << self.layer.input_shift
        )
        return bias

    def encode(self, units: slice) -> NDArray[np.uint8]:
        """As the encoding has them."""
        data: NDArray[np.uint8] = self.encoding.encode(self.layer.weights[units])
        return data

    def accumulator(self, unit: int) -> list[int]:
        """The next ones after those of the unit before."""
        width = self.plan.acc_bytes
        return list(range(self.first + unit * width, self.first + (unit + 1) * width))

    def prepare(self) -> None:
        """Leave -o * sum(u), where accumulators start, in SRAM."""
        self.sum_inputs(self.job.scratch("start", self.plan.acc_bytes), self.plan.acc_bytes)

    def sum_inputs(self, symbol: str, width: int) -> None:
        """Leave -o * sum(u) in so many bytes at a symbol."""
        shift = int(self.encoding.OFFSET).bit_length() - 1
        sum_inputs(
            self.job, self.layer.input, self.x, width, symbol, shift=shift, offset=self.offset
        )

    def begin(self, size: int) -> str:
        """The first one is loaded, the others are copies."""
        width, start = self.plan.acc_bytes, self.job.label("start")
        lines = [f"lds   r{self.first + byte}, {start} + {byte}" for byte in range(width)]
        rest = range(self.first + width, self.first + width * size)
        lines += [f"mov   r{register}, r{register - width}" for register in rest]
        return "\n".join([*lines, f"clr   r{self.zero}"])

    def load_input(self) -> str:
        """With its offset."""
        lines = [f"ld    r{register}, X+                 ; x" for register in self.inputs]
        if self.offset:
            lines.append(f"subi  r{self.inputs[-1]}, 0x80             ; to unsigned")
        return "\n".join(lines)


@dataclass(frozen=True)
class Unpacked(OffsetWeights):
    """Any input, with or without MUL: accumulators in r2 up, r23 zero, r24 and r25 the input.

    Weights of less than 8 bits are taken from r20 into r21 one by one. 16-bit inputs meet a weight
    twice, so 8-bit weights are kept in r20 for them.
    Cycles a product: 5 + B with accumulators of B bytes, 6 + 2 * B for 16-bit inputs; where weights
    have b < 8 bits 2 more for the first in a byte, b - 1 for the others. Without MUL, a product
    takes some 40 cycles more.
    """

    @property
    def _bits(self) -> int:
        return int(getattr(self.encoding, "BITS", 8))

    @property
    def outputs_in_byte(self) -> int:
        """By the encoding."""
        return 8 // self._bits

    @property
    def outputs_in_registers(self) -> int:
        """As many as leave the weight its registers."""
        keeps = self._bits < 8 or len(self.inputs) == 2
        return (18 if keeps else 21) // self.plan.acc_bytes

    def products(self, size: int) -> str:
        """Weight by weight."""
        return "\n".join(self._product(unit) for unit in range(size))

    def _product(self, unit: int) -> str:
        weight, take = self._weight(unit)
        acc = self.accumulator(unit)
        lines = [take, product(self.job, weight, f"r{self.inputs[0]}"), add(acc, self.zero)]
        if len(self.inputs) == 2:
            again = product(self.job, weight, f"r{self.inputs[1]}")
            lines += [again, add(acc[1:], self.zero)]
        return "\n".join(lines)

    def _weight(self, unit: int) -> tuple[str, str]:
        """The register of a unit's weight, and lines that bring it there."""
        if self._bits == 8:
            weight = "r0" if len(self.inputs) == 1 else "r20"
            return weight, load(self.job, weight)
        place = unit % (8 // self._bits)
        take = load(self.job, "r20") if place == 0 else "lsr   r20\n" * self._bits
        return "r21", f"{take}\nmov   r21, r20\nandi  r21, {(1 << self._bits) - 1}"


def add(acc: list[int], zero: int) -> str:
    """Lines that add r1:r0 to an accumulator's registers."""
    sources = (["r0", "r1"] + [f"r{zero}"] * len(acc))[: len(acc)]
    return "\n".join(
        f"{'adc' if byte else 'add'}   r{register}, {source}"
        for byte, (register, source) in enumerate(zip(acc, sources, strict=True))
    )
