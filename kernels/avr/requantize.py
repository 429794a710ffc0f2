"""The end of every layer on AVR: accumulators to activations, one output after the other.

Parameters stream from flash at Z, per output: the bias, then, unless requantization is a plain
shift, the channel's multiplier. Where all outputs have the same, they are in the code. Registers:
r18.. accumulator, lowest byte first; r16, r17 multiplier; r4.. product; r14 sign, r15 zero; r25
constants; r24 counts outputs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.avr.memory import load
from kernels.avr.multiply import product, signed_product
from kernels.emit import Job, little_endian
from kernels.requant_plan import RequantPlan

ACC = 18
_MULTIPLIER = 16
_PRODUCT = 4
_SHORT = 4  # bytes


def output_constants(plan: RequantPlan, bias: NDArray[np.int64], units: slice) -> NDArray[np.uint8]:
    """What `finish` streams for some outputs: bias and multiplier of each, little endian.

    bias: int64, of every output of the layer.
    """
    multipliers = plan.how.per_channel(len(bias))
    rows = [
        little_endian(int(b), plan.acc_bytes) + little_endian(int(m), plan.multiplier_bytes)
        for b, m in zip(bias[units], multipliers[units], strict=True)
    ]
    return np.array(rows, np.uint8).ravel()


def finish(
    job: Job,
    out: Assembly,
    prefix: str,
    plan: RequantPlan,
    access: tuple[str, str],
    *,
    bias: int | None = None,
) -> None:
    """Write the loop over r24 outputs (0 stands for 256).

    access: lines that load the accumulator, r18 up, and step on; and `X+` or `Y+`, where the
    activations go. bias: of all outputs, which then have one multiplier, too; None where both
    stream. Clobbers r0, r1, r4..r11, r14..r25 and what loading uses.
    """
    fetch, store = access
    loop = f"{prefix}_loop"
    start = out.size
    job.at_most(loop, job.node.output.count)
    out.emit(f"{loop}:\n{fetch}")
    out.emit(_shift_left(plan.acc_bytes, plan.input_shift))
    if bias is None:
        for byte in range(plan.acc_bytes):
            out.emit(f"""
                {load(job, "r0")}             ; bias
                {"adc" if byte else "add"}   r{ACC + byte}, r0
            """)
    else:
        _add_constant(out, ACC, plan.acc_bytes, bias)
    value = requantize(job, out, prefix, plan, streams=bias is None)
    for byte in range(plan.output_bytes):
        out.emit(f"st    {store}, r{value + byte}")
    near = out.size - start < 120
    out.emit(f"""
            dec   r24
            {f"brne  {loop}" if near else f"breq  {loop}_done"}
            {"" if near else f"rjmp  {loop}"}
    {loop}_done:
    """)


def is_short(plan: RequantPlan) -> bool:
    """Whether `requantize` takes no registers but r18..r21 and r25: a plain shift mostly does."""
    last = max(plan.product_bytes, plan.how.shift // 8 + plan.shifted_bytes)
    return plan.multiplier_bytes == 0 and last <= _SHORT


def requantize(
    job: Job, out: Assembly, prefix: str, plan: RequantPlan, *, streams: bool = False
) -> int:
    """Write what turns one accumulator with its bias, r18 up, into an activation; its register.

    streams: whether the multiplier is in the stream at Z. Clobbers as `finish` does.
    """
    if plan.is_sign:
        return _sign(out, plan)
    value = _scale(job, out, plan, streams=streams)
    value = _drop_shift(out, plan, value)
    _saturate(out, prefix, plan, value)
    return value


def _shift_left(size: int, count: int) -> str:
    step = [f"{'rol' if byte else 'lsl'}   r{ACC + byte}" for byte in range(size)]
    return "\n".join(step * count)


def _sign(out: Assembly, plan: RequantPlan) -> int:
    """The register of the bit that says that the accumulator is not negative."""
    out.emit(f"ldi   r25, 1\nsbrc  r{ACC + plan.acc_bytes - 1}, 7\nclr   r25")
    return 25


def _scale(job: Job, out: Assembly, plan: RequantPlan, *, streams: bool) -> int:
    """Multiply and add the round bias; the first register of the product."""
    if not plan.multiplier_bytes:
        _extend(out, ACC, plan.acc_bytes, plan.product_bytes)
        _add_constant(out, ACC, plan.product_bytes, plan.how.round_bias)
        return ACC
    fixed = little_endian(int(plan.how.multiplier[0]), plan.multiplier_bytes)
    for byte in range(plan.multiplier_bytes):
        register = f"r{_MULTIPLIER + byte}"
        out.emit(load(job, register) if streams else f"ldi   {register}, {fixed[byte]}")
    out.emit("clr   r15")
    for byte, value in enumerate(little_endian(plan.how.round_bias, plan.product_bytes)):
        _set(out, _PRODUCT + byte, value)
    for i in range(plan.acc_bytes):
        for j in range(plan.multiplier_bytes):
            _multiply_add(job, out, plan, (i, j))
    return _PRODUCT


def _multiply_add(job: Job, out: Assembly, plan: RequantPlan, digits: tuple[int, int]) -> None:
    """Product += acc byte i * multiplier byte j, at byte i + j; the top acc byte is signed."""
    i, j = digits
    top = plan.product_bytes
    if i + j >= top:
        return
    signed = i == plan.acc_bytes - 1
    left, right = f"r{ACC + i}", f"r{_MULTIPLIER + j}"
    if signed:
        out.emit(signed_product(job, left, right, sign=i + j + 2 < top))
    else:
        out.emit(product(job, left, right))
    fill = 14 if signed else 15
    for byte in range(i + j, top):
        source = {0: 0, 1: 1}.get(byte - i - j, fill)
        out.emit(f"{'add' if byte == i + j else 'adc'}   r{_PRODUCT + byte}, r{source}")


def _drop_shift(out: Assembly, plan: RequantPlan, value: int) -> int:
    """Shift right, whole bytes by renaming registers; add the zero point."""
    size = plan.product_bytes - plan.how.shift // 8
    value += plan.how.shift // 8
    step = [
        f"{'ror' if byte < size - 1 else 'asr'}   r{value + byte}" for byte in reversed(range(size))
    ]
    out.emit("\n".join(step * (plan.how.shift % 8)))
    if value < 16:
        for byte in range(size):
            out.emit(f"mov   r{ACC + byte}, r{value + byte}")
        value = ACC
    _extend(out, value, size, plan.shifted_bytes)
    _add_constant(out, value, plan.shifted_bytes, plan.how.zero_point)
    return value


def _saturate(out: Assembly, prefix: str, plan: RequantPlan, value: int) -> None:
    size = plan.shifted_bytes
    if plan.clamp_low is not None:
        if plan.clamp_low == 0:
            out.emit(f"""
                tst   r{value + size - 1}
                brpl  {prefix}_low
            """)
        else:
            _compare(out, value, size, plan.clamp_low)
            out.emit(f"brge  {prefix}_low")
        _assign(out, value, size, plan.clamp_low)
        out.emit(f"{prefix}_low:")
    if plan.clamp_high is not None:
        _compare(out, value, size, plan.clamp_high)
        out.emit(f"brlt  {prefix}_high")
        _assign(out, value, plan.output_bytes, plan.clamp_high)
        out.emit(f"{prefix}_high:")


def _compare(out: Assembly, value: int, size: int, limit: int) -> None:
    low, *rest = little_endian(limit, size)
    out.emit(f"cpi   r{value}, {low}")
    for byte, constant in enumerate(rest, 1):
        out.emit(f"""
            ldi   r25, {constant}
            cpc   r{value + byte}, r25
        """)


def _assign(out: Assembly, value: int, size: int, constant: int) -> None:
    for byte, part in enumerate(little_endian(constant, size)):
        out.emit(f"ldi   r{value + byte}, {part}")


def _set(out: Assembly, register: int, constant: int) -> None:
    """A constant into a register below r16."""
    if constant == 0:
        out.emit(f"clr   r{register}")
        return
    out.emit(f"""
        ldi   r25, {constant}
        mov   r{register}, r25
    """)


def _extend(out: Assembly, value: int, size: int, wanted: int) -> None:
    """Sign-extend; the flags are lost."""
    for byte in range(size, wanted):
        out.emit(f"""
            clr   r{value + byte}
            sbrc  r{value + size - 1}, 7
            com   r{value + byte}
        """)


def _add_constant(out: Assembly, value: int, size: int, constant: int) -> None:
    """Add by subtracting the negative; there is no add immediate."""
    if constant:
        for byte, part in enumerate(little_endian(-constant, size)):
            out.emit(f"{'sbci' if byte else 'subi'}  r{value + byte}, {part}")
