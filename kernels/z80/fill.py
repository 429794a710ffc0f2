"""Filling pages of accumulators with what they start at: two bytes a PUSH, 11 T."""

from __future__ import annotations

from collections.abc import Sequence

from kernels.asm import Assembly
from kernels.emit import Job
from kernels.z80.stack_pointer import borrowed, may_borrow


def start_values(job: Job, symbol: str, values: Sequence[int]) -> None:
    """Write bytes from a symbol on, as `fill` does, or by LDIR where SP may not be borrowed.

    That takes 21 T a byte, and the bytes again as constants, and clobbers BC, DE, HL.
    """
    if may_borrow(job.target):
        with borrowed(job, "sp_start"):
            fill(job.code, symbol, values)
        return
    job.consts.emit(f"{job.label('starts')}:")
    job.consts.data(".byte", values)
    job.code.emit(f"""
        ld hl,{job.label("starts")}
        ld de,{symbol}
        ld bc,{len(values)}
        ldir                            ; #{job.label("start")}
    """)
    job.at_most(job.label("start"), len(values))


def fill(out: Assembly, symbol: str, values: Sequence[int]) -> None:
    """Write bytes to SRAM from a symbol on, and one byte more if they are odd in number.

    SP must be borrowed. Clobbers HL. 11 T and a byte a word, 10 T and three bytes more for each
    that differs from the one behind it, and 10 T.
    """
    padded = [*values, values[-1]] if len(values) % 2 else list(values)
    words = [low + 256 * high for low, high in zip(padded[::2], padded[1::2], strict=True)]
    out.emit(f"ld sp,{symbol}+{len(padded)}")
    loaded = None
    for word in reversed(words):
        if word != loaded:
            out.emit(f"ld hl,{word}")
        out.emit("push hl")
        loaded = word


def copy(out: Assembly, source: str, target: str, size: int) -> None:
    """Copy bytes, one more if they are odd in number; SP must be borrowed.

    Clobbers HL. 26 T and four bytes a word, and 10 T.
    """
    out.emit(f"ld sp,{source}")
    for at in range(0, size, 2):
        out.emit(f"pop hl\nld ({target}+{at}),hl")
