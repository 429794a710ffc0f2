"""The end of every layer on Z80: one accumulator to one activation.

The value is 16 bits wide in HL, or 32 bits in HL':HL; the plan's bounds say where it may be narrow.
Parameters lie at IX, per output: the bias, then, unless requantization is a plain shift, the
channel's multiplier, its highest bit leading.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.emit import little_endian
from kernels.errors import Unsupported
from kernels.ir import Range
from kernels.requant_plan import RequantPlan

_INT16 = Range(-0x8000, 0x7FFF)
_INT32 = Range(-0x8000_0000, 0x7FFF_FFFF)


def multiplier_bits(plan: RequantPlan) -> int:
    """Bits of the largest multiplier; 0 for a plain shift."""
    return int(plan.how.multiplier.max()).bit_length() if plan.multiplier_bytes else 0


def constants_size(plan: RequantPlan) -> int:
    """Bytes at IX per output."""
    return plan.acc_bytes + plan.multiplier_bytes


def output_constants(plan: RequantPlan, bias: NDArray[np.int64], unit: int) -> list[int]:
    """What lies at IX for one output."""
    multiplier = int(plan.how.per_channel(len(bias))[unit])
    leading = multiplier << (8 * plan.multiplier_bytes - multiplier_bits(plan))
    head = little_endian(int(bias[unit]), plan.acc_bytes)
    return head + (little_endian(leading, plan.multiplier_bytes) if plan.multiplier_bytes else [])


def requantize(out: Assembly, prefix: str, plan: RequantPlan) -> None:
    """Write the steps from an accumulator to HL (L alone for one byte).

    The accumulator is in HL, its third byte in A, or its upper half in HL'. Clobbers AF, BC, DE, HL
    and, unless everything stays within 16 bits, DE' and HL'. IX stays.
    """
    if plan.product not in _INT32:
        raise Unsupported(
            f"{plan.layer}: products of {plan.product_bytes} bytes; z80 kernels requantize with at "
            "most 32 bits: use smaller multipliers"
        )
    if plan.shifted not in _INT32:
        raise Unsupported(
            f"{plan.layer}: with its zero point the output reaches [{plan.shifted.low}, "
            f"{plan.shifted.high}] before saturation; z80 kernels requantize with at most 32 bits: "
            "use a larger shift"
        )
    _Requantizer(out, prefix, plan).write()


@dataclass
class _Requantizer:
    """Writes the steps; `wide` tells where the value stands after the last one."""

    out: Assembly
    prefix: str
    plan: RequantPlan
    wide: bool = False

    def write(self) -> None:
        plan = self.plan
        self._shift_left(plan.input_shift)
        self._add_bias()
        if plan.multiplier_bytes:
            self._multiply()
        self._add(plan.how.round_bias, plan.product)
        self._shift_right()
        self._add(plan.how.zero_point, plan.shifted)
        self._saturate()

    def _shift_left(self, count: int) -> None:
        top = {2: "", 3: "rla", 4: "exx\nadc hl,hl\nexx"}[self.plan.acc_bytes]
        self.out.emit(f"add hl,hl\n{top}\n" * count)

    def _add_bias(self) -> None:
        self.out.emit("""
            ld e,(ix+0)                 ; bias
            ld d,(ix+1)
            add hl,de
        """)
        if self.plan.acc_bytes == 3:
            self.out.emit("""
                adc a,(ix+2)
                exx
                ld l,a                      ; sign-extend to 32 bits
                rla
                sbc a,a
                ld h,a
                exx
            """)
        elif self.plan.acc_bytes == 4:
            self.out.emit("""
                exx
                ld e,(ix+2)
                ld d,(ix+3)
                adc hl,de
                exx
            """)
        self.wide = self.plan.acc_bytes > 2

    def _widen(self) -> None:
        if self.wide:
            return
        self.out.emit("""
            ld a,h                      ; sign-extend to 32 bits
            rla
            sbc a,a
            exx
            ld h,a
            ld l,a
            exx
        """)
        self.wide = True

    def _multiply(self) -> None:
        """Shift and add, the multiplier's highest bit first."""
        self._widen()
        size = self.plan.multiplier_bytes
        first = self.plan.acc_bytes
        load = f"ld c,(ix+{first})" if size == 1 else f"ld c,(ix+{first})\nld b,(ix+{first + 1})"
        loop = f"{self.prefix}_multiply"
        self.out.emit(f"""
            ex de,hl
            ld hl,0
            exx
            ex de,hl
            ld hl,0
            exx
            {load}
            ld a,{multiplier_bits(self.plan)}
        {loop}:
            add hl,hl
            exx
            adc hl,hl
            exx
            sla c
            {"rl b" if size == 2 else ""}
            jr nc,{loop}_zero
            add hl,de
            exx
            adc hl,de
            exx
        {loop}_zero:
            dec a
            jr nz,{loop}
        """)

    def _add(self, constant: int, result: Range) -> None:
        if not constant:
            return
        if result not in _INT16:
            self._widen()
        low, high = constant & 0xFFFF, constant >> 16 & 0xFFFF
        self.out.emit(f"ld de,{low}\nadd hl,de")
        if self.wide:
            self.out.emit(f"exx\nld de,{high}\nadc hl,de\nexx")

    def _shift_right(self) -> None:
        value = self.plan.product
        count, bits = divmod(self.plan.how.shift, 8)
        if self.wide and count >= 2:
            self.out.emit("exx                         ; the upper half is the value >> 16")
            self.wide = False
            count -= 2
            value = Range(value.low >> 16, value.high >> 16)
        for _ in range(count):
            self._drop_byte()
            value = Range(value.low >> 8, value.high >> 8)
        self.wide = self.wide and value not in _INT16
        step = "exx\nsra h\nrr l\nexx\nrr h\nrr l\n" if self.wide else "sra h\nrr l\n"
        self.out.emit(step * bits)

    def _drop_byte(self) -> None:
        if not self.wide:
            self.out.emit("ld l,h\nld a,h\nrla\nsbc a,a\nld h,a")
            return
        self.out.emit("""
            ld l,h
            exx
            ld c,l
            ld l,h
            ld a,h
            rla
            sbc a,a
            ld h,a
            ld a,c
            exx
            ld h,a
        """)

    def _saturate(self) -> None:
        plan = self.plan
        if self.wide and plan.shifted not in _INT16:
            self._saturate_to_16_bits()
        self.wide = False
        if plan.clamp_low == 0:
            self.out.emit(f"""
                bit 7,h                     ; ReLU
                jr z,{self.prefix}_low
                ld hl,0
            {self.prefix}_low:
            """)
        elif plan.clamp_low is not None:
            self._clamp(plan.clamp_low, "nc", "low")
        if plan.clamp_high == 255 and plan.how.low >= 0:
            self.out.emit(f"""
                ld a,h
                or a
                jr z,{self.prefix}_high
                ld l,255
            {self.prefix}_high:
            """)
        elif plan.clamp_high is not None:
            self._clamp(plan.clamp_high, "c", "high")

    def _clamp(self, limit: int, keep: str, name: str) -> None:
        """Signed comparison of HL with a limit; a flipped sign bit makes it unsigned."""
        self.out.emit(f"""
            ld a,h
            xor 0x80
            ld h,a
            ld de,{(limit & 0xFFFF) ^ 0x8000}
            or a
            sbc hl,de
            add hl,de
            jr {keep},{self.prefix}_{name}
            ex de,hl
        {self.prefix}_{name}:
            ld a,h
            xor 0x80
            ld h,a
        """)

    def _saturate_to_16_bits(self) -> None:
        name = f"{self.prefix}_narrow"
        self.out.emit(f"""
            ld a,h
            rla                         ; the sign that the upper half should repeat
            exx
            ld a,h
            jr c,{name}_negative
            or l
            jr z,{name}_fits
            jr {name}_clip
        {name}_negative:
            and l
            inc a
            jr z,{name}_fits
        {name}_clip:
            ld a,h
            rla
            exx
            ld hl,0x7fff
            jr nc,{name}_done
            inc hl
            jr {name}_done
        {name}_fits:
            exx
        {name}_done:
        """)
