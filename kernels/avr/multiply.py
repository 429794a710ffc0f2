"""Multiplication of bytes on AVR: MUL, or where there is none a routine of 34 to 42 cycles."""

from __future__ import annotations

from kernels.emit import Job


def product(job: Job, left: str, right: str) -> str:
    """Lines that leave left * right, both unsigned, in r1:r0. `left` may be r0."""
    if "MUL" in job.target.features:
        return f"mul   {left}, {right}"
    take = "" if left == "r0" else f"mov   r0, {left}\n"
    return f"{take}rcall {_routine(job, right)}"


def signed_product(job: Job, left: str, right: str, *, sign: bool) -> str:
    """Lines that leave left * right in r1:r0, `left` signed; both in r16..r23.

    sign: leave the product's sign, 0xff or 0, in r14 as well.
    """
    if "MUL" in job.target.features:
        return f"mulsu {left}, {right}" + ("\nsbc   r14, r14" if sign else "")
    lines = f"""
        {product(job, left, right)}
        sbrc  {left}, 7
        sub   r1, {right}
    """
    return lines + ("mov   r14, r1\nlsl   r14\nsbc   r14, r14" if sign else "")


def _routine(job: Job, register: str) -> str:
    """The routine r1:r0 = r0 * register, written once a layer."""
    label = job.label(f"times_{register}")
    if label in job.subroutines:
        return label
    out = job.subroutine(label)
    out.emit("clr   r1\nlsr   r0                      ; its lowest bit")
    for bit in range(8):
        out.emit(f"""
                brcc  {label}_{bit}
                add   r1, {register}
        {label}_{bit}:
                ror   r1
                ror   r0
        """)
    out.emit("ret")
    return label
