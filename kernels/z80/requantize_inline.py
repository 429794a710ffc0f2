"""Requantization of one output on Z80, with all of its parameters in the code.

For kernels whose outputs each have code of their own and sums of 16 bits. The multiplication is
the multiplier's digits, of -1, 0 and 1, as doublings, additions and subtractions of 24 bits in
A:HL.
"""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.dtypes import INT8, UINT8
from kernels.requant_plan import RequantPlan
from kernels.z80.requantize import saturate

_INT24 = range(-(1 << 23), 1 << 23)
_INT16 = range(-(1 << 15), 1 << 15)


def problem(plan: RequantPlan) -> str | None:
    """Why an output cannot be requantized in this way; None if it can."""
    if plan.acc_bytes != 2:
        return f"sums of {8 * plan.acc_bytes} bits, 16 at most"
    if plan.product.low not in _INT24 or plan.product.high not in _INT24:
        return f"products of {plan.product_bytes} bytes, 3 at most"
    ends = (plan.product.low >> plan.how.shift, plan.product.high >> plan.how.shift)
    if not {*ends, plan.shifted.low, plan.shifted.high} <= set(_INT16):
        return "values beyond 16 bits behind the shift"
    return None


def requantize(out: Assembly, label: str, plan: RequantPlan, multiplier: int) -> None:
    """Write the steps from the sum in HL to HL (L alone for one byte). Clobbers AF, BC, DE.

    T-states of the multiplication: 15 a digit, 15 more for a 1, 23 for a -1; the first digit is
    free.
    """
    how = plan.how
    _multiply(out, multiplier)
    if how.round_bias:
        low, high = how.round_bias & 0xFFFF, how.round_bias >> 16
        out.emit(f"ld bc,{low}\nadd hl,bc\nadc a,{high}")
    _shift(out, plan)
    if how.zero_point:
        out.emit(f"ld bc,{how.zero_point}\nadd hl,bc")
    _saturate(out, label, plan)


def _multiply(out: Assembly, multiplier: int) -> None:
    """A:HL = HL * multiplier, sign-extended to 24 bits; DE and C keep the sum."""
    out.emit("""
        ld a,h
        rla
        sbc a,a
    """)
    if multiplier == 1:
        return
    out.emit("ld c,a\nld e,l\nld d,h")
    for digit in _digits(multiplier)[1:]:
        out.emit("add hl,hl\nadc a,a")
        if digit > 0:
            out.emit("add hl,de\nadc a,c")
        elif digit < 0:
            out.emit("or a\nsbc hl,de\nsbc a,c")


_COSTS = {0: 15, 1: 30, -1: 38}  # T-states of a digit


def _digits(multiplier: int) -> list[int]:
    """From the highest, which is 1: the binary ones, or those of which the fewest are not 0."""
    binary = [int(digit) for digit in f"{multiplier:b}"]
    signed: list[int] = []
    while multiplier:
        digit = 2 - multiplier % 4 if multiplier % 2 else 0
        multiplier = (multiplier - digit) // 2
        signed.insert(0, digit)
    return min(binary, signed, key=lambda digits: sum(_COSTS[digit] for digit in digits[1:]))


def _shift(out: Assembly, plan: RequantPlan) -> None:
    """A:HL >> shift into HL: whole bytes by moves, the rest to the left where that is shorter."""
    shift = plan.how.shift
    if shift == 16 and _is_byte(plan):
        out.emit("ld l,a")
        return
    if shift > 24:
        out.emit("rla\nsbc a,a\nld l,a\nld h,a")
        return
    for dropped in (24, 16, 8):
        left = dropped - shift
        ends = (plan.product.low << max(left, 0), plan.product.high << max(left, 0))
        if 0 <= left <= 4 and ends[0] in _INT24 and ends[1] in _INT24:
            out.emit("add hl,hl\nadc a,a\n" * left + _DROPPED[dropped])
            return
    whole = shift // 8 * 8
    if whole:
        out.emit(_DROPPED[whole] + "\nsra h\nrr l" * (shift - whole))
    else:
        out.emit("sra a\nrr h\nrr l\n" * shift)


def _is_byte(plan: RequantPlan) -> bool:
    """Whether the shift leaves the output's byte, and nothing is done to it."""
    clamped = plan.clamp_low is not None or plan.clamp_high is not None
    return plan.output_bytes == 1 and plan.how.zero_point == 0 and not clamped


_DROPPED = {
    8: "ld l,h\nld h,a",
    16: "ld l,a\nrla\nsbc a,a\nld h,a",
    24: "rla\nsbc a,a\nld l,a\nld h,a",
}


def _saturate(out: Assembly, label: str, plan: RequantPlan) -> None:
    """The whole of a byte's range by one test that it mostly passes; other bounds one by one."""
    bounds = (plan.how.low, plan.how.high)
    if plan.clamp_low is None and plan.clamp_high is None:
        return
    if bounds == (INT8.low, INT8.high):
        out.emit(f"""
            ld a,l
            rla
            sbc a,a                     ; the sign that H should be
            cp h
            jr z,{label}_fits
            ld a,h
            rla
            ld a,127
            adc a,0
            ld l,a
        {label}_fits:
        """)
    elif bounds == (UINT8.low, UINT8.high):
        out.emit(f"""
            ld a,h
            or a
            jr z,{label}_fits
            cpl
            rla
            sbc a,a                     ; 255, or 0 below
            ld l,a
        {label}_fits:
        """)
    else:
        saturate(out, label, plan)
