"""Weights of 4 or 2 bits on AVR, without unpacking: a byte is multiplied whole, then masked.

A byte holds the weights of some outputs, b bits each, the first in the lowest bits. With u the
input, P(m) = sum(u * the lowest m fields of the byte), so each field costs a multiplication, an
addition and, but for the first product, a mask. Once a block the single fields' sums come out:
    sum(u * field k) = (P(k + 1) - P(k)) >> (b * k)
Where P(m) starts at the sum of start << (b * k) for all k < m, the differences begin at `start`.

P has the accumulator's bytes, or one more where the difference may not fit them before its shift.
P(1) is no difference and keeps to the accumulator's where it is proven to fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kernels.avr.memory import load
from kernels.avr.offset_weights import OffsetWeights, add
from kernels.requant_plan import signed_bytes

_WEIGHT = 22


@dataclass(frozen=True)
class Masked(OffsetWeights):
    """8-bit inputs, with MUL: sums in r2..r21, r22 the byte, r24 the input, r23 zero.

    Cycles, for each byte of weights: 3, 1 for each mask, and for each sum 2 and its bytes.
    """

    @property
    def _bits(self) -> int:
        return int(self.encoding.BITS)

    @property
    def outputs_in_byte(self) -> int:
        """By the encoding."""
        return 8 // self._bits

    @cached_property
    def _reach(self) -> int:
        """The largest sum of products of inputs and signed weights, by magnitude."""
        w = self.layer.weights.astype(np.int64)
        ends = np.stack([w * (self.x.low + self.offset), w * (self.x.high + self.offset)])
        return int(max(-ends.min(axis=0).sum(axis=1).min(), ends.max(axis=0).sum(axis=1).max(), 0))

    @cached_property
    def wide(self) -> int:
        """Bytes of all sums but perhaps P(1)."""
        widest = self._reach << (self._bits * (self.outputs_in_byte - 1))
        return self.plan.acc_bytes + (signed_bytes(widest, -widest) > self.plan.acc_bytes)

    @cached_property
    def narrow(self) -> int:
        """Bytes of P(1)."""
        fits = signed_bytes(self._reach, -self._reach) <= self.plan.acc_bytes
        return self.plan.acc_bytes if fits else self.wide

    @cached_property
    def _whole(self) -> int:
        """Bytes of all sums of a byte's outputs."""
        return self.narrow + (self.outputs_in_byte - 1) * self.wide

    @property
    def outputs_in_registers(self) -> int:
        """Whole bytes of outputs."""
        return self.outputs_in_byte * ((_WEIGHT - self.first) // self._whole)

    def _sum(self, group: int, fields: int) -> list[int]:
        """Registers of P(fields) of a byte of the block."""
        low = self.first + group * self._whole
        if fields == 1:
            return list(range(low, low + self.narrow))
        low += self.narrow + (fields - 2) * self.wide
        return list(range(low, low + self.wide))

    def _groups(self, size: int) -> list[int]:
        """Outputs of each byte of a block."""
        whole, rest = divmod(size, self.outputs_in_byte)
        return [self.outputs_in_byte] * whole + [rest] * (rest > 0)

    def accumulator(self, unit: int) -> list[int]:
        """What is left of the sum that ends with the unit's field."""
        group, field = divmod(unit, self.outputs_in_byte)
        return self._sum(group, field + 1)[: self.plan.acc_bytes]

    def prepare(self) -> None:
        """Leave in SRAM where the sums of a byte start, P(1) first."""
        out, wide = self.job.code, range(self.wide)
        start, single = self.job.scratch("start", self._whole), self.job.scratch("total", self.wide)
        self.sum_inputs(single, self.wide)
        for byte in wide:
            out.emit(f"lds   r{2 + byte}, {single} + {byte}\nmov   r{8 + byte}, r{2 + byte}")
        double = "\n".join(f"{'rol' if byte else 'lsl'}   r{8 + byte}" for byte in wide)
        for byte in range(self.narrow):
            out.emit(f"sts   {start} + {byte}, r{8 + byte}")
        for number in range(self.outputs_in_byte - 1):
            out.emit("\n".join([double] * self._bits))
            for byte in wide:
                out.emit(f"{'adc' if byte else 'add'}   r{8 + byte}, r{2 + byte}")
            for byte in wide:
                place = self.narrow + number * self.wide + byte
                out.emit(f"sts   {start} + {place}, r{8 + byte}")

    def begin(self, size: int) -> str:
        """The first byte's sums are loaded, the others are copies."""
        start, lines = self.job.label("start"), [f"clr   r{self.zero}"]
        for group, fields in enumerate(self._groups(size)):
            for count in range(1, fields + 1):
                for register in self._sum(group, count):
                    place = register - self.first - group * self._whole
                    lines.append(
                        f"mov   r{register}, r{self.first + place}"
                        if group
                        else f"lds   r{register}, {start} + {place}"
                    )
        return "\n".join(lines)

    def products(self, size: int) -> str:
        """Byte by byte, the whole first."""
        lines = []
        for group, fields in enumerate(self._groups(size)):
            lines.append(load(self.job, f"r{_WEIGHT}"))
            for count in range(fields, 0, -1):
                if count < fields:
                    lines.append(f"andi  r{_WEIGHT}, {(1 << (self._bits * count)) - 1:#x}")
                lines.append(f"mul   r{_WEIGHT}, r{self.inputs[0]}")
                lines.append(add(self._sum(group, count), self.zero))
        return "\n".join(lines)

    def store_sums(self, size: int) -> str:
        """Differences, from the widest sum down, and all of them stored."""
        lines = []
        for group, fields in enumerate(self._groups(size)):
            for count in range(fields, 1, -1):
                high, low = self._sum(group, count), self._sum(group, count - 1)
                if len(low) < len(high):
                    sign = f"r{_WEIGHT}"
                    lines.append(f"clr   {sign}\nsbrc  r{low[-1]}, 7\ncom   {sign}")
                    low = [*low, _WEIGHT]
                for byte, (register, less) in enumerate(zip(high, low, strict=True)):
                    lines.append(f"{'sbc' if byte else 'sub'}   r{register}, r{less}")
                shift = [f"{'ror' if high[-1] != r else 'asr'}   r{r}" for r in reversed(high)]
                lines += shift * (self._bits * (count - 1))
        return "\n".join([*lines, super().store_sums(size)])
