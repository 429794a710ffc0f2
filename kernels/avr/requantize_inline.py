"""Requantization of one output on AVR, with all of its parameters in the code.

For kernels whose outputs each have code of their own: the bias is where the accumulator started,
the multiplier is loaded as a constant, nothing is streamed or looped over. Registers: the
accumulator anywhere below r18; r18, r19, r20, r24, r26, r27 the product; r21, r22, r23 operands;
r30, r31 temporary; r25 zero. Y, where the output goes, steps on.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernels.avr.multiply import product, signed_product
from kernels.emit import Job, little_endian
from kernels.requant_plan import RequantPlan, signed_bytes

_PRODUCT = (18, 19, 20, 24, 26, 27)
_TOP, _LOW, _HIGH, _FREE, _SIGN = 21, 22, 23, 30, 31


def requantize(job: Job, label: str, plan: RequantPlan, acc: Sequence[int], multiplier: int) -> str:
    """Lines from the accumulator, registers lowest first, to the output stored at Y.

    Clobbers r18..r24, r26, r27, r30, r31, r0, r1.
    """
    lines = _scaled(job, plan, acc, multiplier)
    size = plan.product_bytes
    value = list(_PRODUCT[:size])
    lines += _add(value, plan.how.round_bias if not plan.multiplier_bytes else 0)
    more, value = _shifted(plan, value)
    lines += more
    lines += _extended(value, plan.shifted_bytes)
    value = [*value, *(r for r in _PRODUCT if r not in value)][: max(plan.shifted_bytes, 1)]
    lines += _add(value, plan.how.zero_point)
    lines += _saturated(label, plan, value)
    lines += [f"st    Y+, r{register}" for register in value[: plan.output_bytes]]
    return "\n".join(lines)


def _scaled(job: Job, plan: RequantPlan, acc: Sequence[int], multiplier: int) -> list[str]:
    """The product with its round bias, or the accumulator itself, in the product's registers."""
    size = plan.product_bytes
    if not plan.multiplier_bytes:
        held = min(size, len(acc))
        moves = [f"mov   r{_PRODUCT[byte]}, r{acc[byte]}" for byte in range(held)]
        return moves + _extended(list(_PRODUCT[:held]), size)
    start = little_endian(plan.how.round_bias, size)
    lines = [f"ldi   r{_PRODUCT[byte]}, {value}" for byte, value in enumerate(start)]
    lines.append(f"mov   r{_TOP}, r{acc[-1]}                ; the signed byte")
    for j, value in enumerate(little_endian(multiplier, plan.multiplier_bytes)):
        right = (_LOW, _HIGH)[j]
        lines.append(f"ldi   r{right}, {value}")
        for i, register in enumerate(acc[:-1]):
            if i + j < size:
                lines += [product(job, f"r{register}", f"r{right}"), *_accumulate(size, i + j, 25)]
        if len(acc) - 1 + j < size:
            lines += _signed_product(job, right, sign=len(acc) + 1 + j < size)
            lines += _accumulate(size, len(acc) - 1 + j, _SIGN)
    return lines


def _signed_product(job: Job, right: int, *, sign: bool) -> list[str]:
    """The accumulator's top byte times a multiplier's byte, and its sign where it is needed."""
    lines = [signed_product(job, f"r{_TOP}", f"r{right}", sign=False)]
    if sign and "MUL" not in job.target.features:
        lines += [f"mov   r{_SIGN}, r1", f"lsl   r{_SIGN}"]
    return lines + ([f"sbc   r{_SIGN}, r{_SIGN}"] if sign else [])


def _accumulate(size: int, at: int, rest: int) -> list[str]:
    return [
        f"{'adc' if byte > at else 'add'}   r{_PRODUCT[byte]}, "
        f"r{ {0: 0, 1: 1}.get(byte - at, rest) }"
        for byte in range(at, size)
    ]


def _shifted(plan: RequantPlan, value: list[int]) -> tuple[list[str], list[int]]:
    """Whole bytes by renaming; the rest to the right, or to the left where that is shorter."""
    count, bits = divmod(plan.how.shift, 8)
    value = value[count:]
    left = 8 - bits
    doubled = (plan.product.low << left, plan.product.high << left)
    if bits > left and len(value) > 1 and signed_bytes(*doubled) <= plan.product_bytes:
        steps = [f"{'rol' if place else 'lsl'}   r{r}" for place, r in enumerate(value)]
        return steps * left, value[1:]
    top = value[-1]
    steps = [f"{'asr' if r == top else 'ror'}   r{r}" for r in reversed(value)]
    return steps * bits, value


def _extended(value: list[int], wanted: int) -> list[str]:
    """Sign-extend into the product's next registers."""
    spare = [register for register in _PRODUCT if register not in value]
    lines = []
    for register in spare[: max(0, wanted - len(value))]:
        lines += [f"mov   r{register}, r{value[-1]}", f"lsl   r{register}"]
        lines.append(f"sbc   r{register}, r{register}")
    return lines


def _add(value: list[int], constant: int) -> list[str]:
    """Add by subtracting the negative; there is no add immediate."""
    if not constant:
        return []
    return [
        f"{'sbci' if place else 'subi'}  r{register}, {byte}"
        for place, (register, byte) in enumerate(
            zip(value, little_endian(-constant, len(value)), strict=True)
        )
    ]


def _saturated(label: str, plan: RequantPlan, value: list[int]) -> list[str]:
    lines: list[str] = []
    for bound, keep, name in ((plan.clamp_low, "ge", "low"), (plan.clamp_high, "lt", "high")):
        if bound is None:
            continue
        if bound == 0 and name == "low":
            lines += [f"tst   r{value[-1]}", f"brpl  {label}_low"]
        else:
            lines += [*_compared(value, bound), f"br{keep}  {label}_{name}"]
        lines += [
            f"ldi   r{register}, {byte}"
            for register, byte in zip(value, little_endian(bound, len(value)), strict=True)
        ]
        lines.append(f"{label}_{name}:")
    return lines


def _compared(value: list[int], bound: int) -> list[str]:
    low, *rest = little_endian(bound, len(value))
    lines = [f"cpi   r{value[0]}, {low}"]
    for register, byte in zip(value[1:], rest, strict=True):
        lines += [f"ldi   r{_FREE}, {byte}", f"cpc   r{register}, r{_FREE}"]
    return lines
