"""The end of every layer on Z80: one accumulator to one activation.

The value is 16 bits wide in HL, or 24 bits in A:HL; the plan's bounds say where it may be narrow.
Products are taken from the multiplier's lowest bit on, each step shifting the sum right, so they
need no more room than the accumulator: 36 or 42 T a bit with 16 bits, 40 or 50 T with 24. What is
shifted less than the multiplier is wide, or comes from 32 bits, goes through `wide.py`. A negative
accumulator in front of a ReLU ends at once.

Parameters lie at IX, per output: the bias, then, unless requantization is a plain shift, the
channel's multiplier.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.emit import Job, little_endian
from kernels.ir import Range
from kernels.requant_plan import RequantPlan, signed_bytes
from kernels.z80.wide import Wide

_INT16 = Range(-0x8000, 0x7FFF)
_INT24 = Range(-0x80_0000, 0x7F_FFFF)
_FEWER_TO_THE_LEFT = 4  # bits of a shift to the right, above which the other way takes less


def multiplier_bits(plan: RequantPlan) -> int:
    """Bits of the largest multiplier; 0 for a plain shift."""
    return int(plan.how.multiplier.max()).bit_length() if plan.multiplier_bytes else 0


def constants_size(plan: RequantPlan) -> int:
    """Bytes at IX per output."""
    return plan.acc_bytes + plan.multiplier_bytes


def output_constants(plan: RequantPlan, bias: NDArray[np.int64], unit: int) -> list[int]:
    """What lies at IX for one output."""
    multiplier = int(plan.how.per_channel(len(bias))[unit])
    return [
        *little_endian(int(bias[unit]), plan.acc_bytes),
        *little_endian(multiplier, plan.multiplier_bytes),
    ]


def requantize(job: Job, prefix: str, plan: RequantPlan, times: int) -> None:
    """Write the steps from an accumulator to HL (L alone for one byte); they run so many times.

    The accumulator is in HL, its third byte in A, or its upper half in HL'. Clobbers AF, BC, DE, HL
    and, where products are wide, DE' and HL'. IX and IY stay. Stack: none.
    """
    steps = _Requantizer(job.code, prefix, plan)
    steps.write()
    for loop, rounds in steps.loops.items():
        job.at_most(loop, times * rounds)


@dataclass
class _Requantizer:
    """Writes the steps. size: bytes of the value, 4 with the upper half in HL'. value: its bounds.

    shift: what is left of it. round_bias: what is left to be added before. loops: how often each
    turns.
    """

    out: Assembly
    prefix: str
    plan: RequantPlan
    size: int = field(init=False)
    value: Range = field(init=False)
    shift: int = field(init=False)
    round_bias: int = field(init=False)
    loops: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        half = 1 << (8 * self.plan.acc_bytes - 1)
        self.size = self.plan.acc_bytes
        self.value = Range(max(self.plan.product.low, -half), min(self.plan.product.high, half - 1))
        self.shift, self.round_bias = self.plan.how.shift, self.plan.how.round_bias

    def write(self) -> None:
        plan = self.plan
        self._shift_left(plan.input_shift)
        self._add_bias()
        relu = plan.how.low >= plan.how.zero_point and self.value.low < 0
        if relu:
            self._skip_negative()
        if plan.multiplier_bytes and self._multiplies_narrow():
            self._multiply()
        if self._is_wide():
            self._shift_wide()
        self._round_and_shift()
        self._narrow_to_plan()
        self._add(plan.how.zero_point)
        self.saturate()
        if relu:
            self.out.emit(f"{self.prefix}_done:")

    def _shift_left(self, count: int) -> None:
        top = {2: "", 3: "rla", 4: "exx\nadc hl,hl\nexx"}[self.size]
        self.out.emit(f"add hl,hl\n{top}\n" * count)

    def _add_bias(self) -> None:
        top = {
            2: "",
            3: "adc a,(ix+2)",
            4: "exx\nld e,(ix+2)\nld d,(ix+3)\nadc hl,de\nexx",
        }[self.size]
        self.out.emit(f"""
            ld e,(ix+0)                 ; bias
            ld d,(ix+1)
            add hl,de
            {top}
        """)

    def _skip_negative(self) -> None:
        """Below 0 everything that follows gives the lowest output."""
        sign = {2: "bit 7,h", 3: "bit 7,a", 4: "exx\nbit 7,h\nexx"}[self.size]
        self.out.emit(f"""
            {sign}
            jr z,{self.prefix}_positive
            ld hl,{self.plan.how.low}
            jp {self.prefix}_done
        {self.prefix}_positive:
        """)
        self.value = Range(0, max(self.value.high, 0))

    @property
    def _steps(self) -> int:
        """Bits of the multiplier that are taken; a sign is set right by whole bytes."""
        return 8 * self.plan.multiplier_bytes if self.value.low < 0 else multiplier_bits(self.plan)

    def _multiplies_narrow(self) -> bool:
        return self.size < 4 and self.shift >= self._steps

    def _multiply(self) -> None:
        """The product's upper bytes, shifted right by `_steps`."""
        steps, first = self._steps, self.plan.acc_bytes
        wide = self.size == 3
        self.out.emit("ld b,a\nxor a" if wide else "")
        self.out.emit("ex de,hl\nld hl,0")
        for step in range(steps):
            if step % 8 == 0:
                self.out.emit(f"ld c,(ix+{first + step // 8})             ; multiplier")
            self.out.emit(f"""
                srl c
                jr nc,$+{4 if wide else 3}
                add hl,de
                {"adc a,b" if wide else ""}
                {"rra" if wide else ""}
                rr h
                rr l
            """)
        self.shift -= steps
        self._round_by_carry()
        if self.value.low < 0:
            self._take_sign_off()
        lowest = min(self.plan.product.low, 0) if self.value.low < 0 else 0
        self.value = Range(lowest >> steps, max(self.plan.product.high, 0) >> steps)

    def _round_by_carry(self) -> None:
        """The round bias, of which the last bit shifted out is what may be left."""
        if not self.round_bias:
            return
        if self.shift > 0:
            self.round_bias = 1 << (self.shift - 1)
            return
        self.round_bias = 0
        self.out.emit("ld de,0\nadc hl,de\nadc a,d" if self.size == 3 else "jr nc,$+3\ninc hl")

    def _take_sign_off(self) -> None:
        """A negative accumulator was taken for itself plus 2**bits."""
        first, size = self.plan.acc_bytes, self.plan.multiplier_bytes
        label = f"{self.prefix}_unsigned"
        if self.size == 3:
            top = f"sub (ix+{first})"
            if size == 2:
                top = f"ld c,a\nld a,h\nsub (ix+{first})\nld h,a\nld a,c\nsbc a,(ix+{first + 1})"
            self.out.emit(f"bit 7,b\njr z,{label}\n{top}\n{label}:")
            return
        top = f"ld a,h\nsub (ix+{first})\nld h,a"
        if size == 2:
            top = f"ld c,(ix+{first})\nld b,(ix+{first + 1})\nor a\nsbc hl,bc"
        self.out.emit(f"bit 7,d\njr z,{label}\n{top}\n{label}:")

    def _is_wide(self) -> bool:
        """Whether a product, 32 bits, or a sum beyond 24 bits is left."""
        low, high, zero_point = self.value.low, self.value.high, self.plan.how.zero_point
        rounded = Range(low, high + self.round_bias)
        moved = Range((low >> self.shift) + zero_point, (high >> self.shift) + zero_point)
        unmultiplied = self.plan.multiplier_bytes > 0 and self.shift == self.plan.how.shift
        return self.size == 4 or unmultiplied or rounded not in _INT24 or moved not in _INT24

    def _shift_wide(self) -> None:
        """Through `wide.py`, down to at most 24 bits."""
        wide = Wide(self.out, self.prefix, self.size)
        if self.plan.multiplier_bytes and self.shift == self.plan.how.shift:
            size = self.plan.multiplier_bytes
            wide.multiply(self.plan.acc_bytes, size, self.value.low < 0)
            self.loops[wide.loop] = 8 * size
        wide.shift_right(self.shift, rounded=self.round_bias > 0)
        self.size = wide.narrow()
        self.shift = self.round_bias = 0
        lowest = -0x40_0000 if self.value.low < 0 else 0
        self.value = _INT16 if self.size == 2 else Range(lowest, 0x40_FFFF)

    def _round_and_shift(self) -> None:
        self._add(self.round_bias)
        self.value = Range(self.value.low >> self.shift, self.value.high >> self.shift)
        count, bits = divmod(self.shift, 8)
        for _ in range(count):
            self._drop_byte()
        if bits > _FEWER_TO_THE_LEFT:
            self._shift_left_and_drop(8 - bits)
        else:
            self.out.emit(
                "sra a\nrr h\nrr l\n" * bits if self.size == 3 else "sra h\nrr l\n" * bits
            )

    def _drop_byte(self) -> None:
        if self.size == 3:
            self.out.emit("ld l,h\nld h,a")
        else:
            self.out.emit("ld l,h\nld a,h\nrla\nsbc a,a\nld h,a")
        self.size = 2

    def _shift_left_and_drop(self, count: int) -> None:
        """To the right by eight less `count`."""
        if self.size == 3 and self.value in _INT16:
            self.out.emit("add hl,hl\nrla\n" * count + "ld l,h\nld h,a")
            self.size = 2
        elif self.size == 3:
            more = "add hl,hl\nrla\nrl b\n" * count
            self.out.emit(f"ld c,a\nrla\nsbc a,a\nld b,a\nld a,c\n{more}ld l,h\nld h,a\nld a,b")
        else:
            self.out.emit("ld a,h\nrla\nsbc a,a\n" + "add hl,hl\nrla\n" * count + "ld l,h\nld h,a")

    def _narrow_to_plan(self) -> None:
        """The plan knows what each channel's multiplier leaves."""
        bounds, zero_point, value = self.plan.shifted, self.plan.how.zero_point, self.value
        low, high = (
            min(max(end - zero_point, value.low), value.high) for end in (bounds.low, bounds.high)
        )
        self.value = Range(low, high)
        if self.value in _INT16:
            self.size = 2

    def _add(self, constant: int) -> None:
        if not constant:
            return
        self.value = Range(self.value.low + constant, self.value.high + constant)
        if self.size == 2 and self.value not in _INT16:
            self.out.emit("ld a,h\nrla\nsbc a,a                     ; sign-extend to 24 bits")
            self.size = 3
        assert signed_bytes(self.value.low, self.value.high) <= self.size
        self.out.emit(f"ld de,{constant & 0xFFFF}\nadd hl,de")
        if self.size == 3:
            self.out.emit(f"adc a,{constant >> 16 & 0xFF}")

    def saturate(self) -> None:
        how = self.plan.how
        if self.size == 3:
            self._saturate_to_16_bits()
            self.value = _INT16
        if self.value.low < how.low:
            if how.low == 0:
                self.out.emit(f"""
                    bit 7,h
                    jr z,{self.prefix}_low
                    ld hl,0
                {self.prefix}_low:
                """)
            else:
                self._clamp(how.low, "nc", "low")
        if self.value.high > how.high:
            if how.high == 255 and how.low >= 0:
                self.out.emit(f"""
                    ld a,h
                    or a
                    jr z,{self.prefix}_high
                    ld l,255
                {self.prefix}_high:
                """)
            else:
                self._clamp(how.high, "c", "high")

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
            ld c,a
            ld a,h
            rla
            sbc a,a
            cp c                        ; the sign that the third byte should repeat
            jr z,{name}
            ld hl,0x7fff
            bit 7,c
            jr z,{name}
            inc hl
        {name}:
        """)


def saturate(out: Assembly, prefix: str, plan: RequantPlan) -> None:
    """Write the saturation of a 16-bit value in HL, which stays there. Clobbers AF, DE."""
    end = _Requantizer(out, prefix, plan)
    end.size, end.value = 2, plan.shifted
    end.saturate()
