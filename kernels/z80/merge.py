"""Merges of shared sums (shared_sums.py), in straight-line code.

Registers: HL, DE the low and the high byte of a sum, in two pages. A merge takes 123 T and 24
bytes; setting up takes 7 T. Clobbers AF, BC, DE, L.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernels.asm import Assembly
from kernels.shared_sums import Merge

TIME = 123


def merge_all(out: Assembly, pages: str, merges: Sequence[Merge]) -> None:
    """Do merges in their order; H is the page of low bytes, at `pages`."""
    out.emit(f"ld d,({pages}+256)>>8")
    for merge in merges:
        out.emit(f"""
            ld l,{merge.shared}
            ld e,l
            ld c,(hl)
            ld a,(de)
            ld b,a
        """)
        _add(out, merge.one, "add a,c", "adc a,b")
        if merge.sign > 0:
            _add(out, merge.other, "add a,c", "adc a,b")
        else:
            _add(out, merge.other, "sub c", "sbc a,b")


def _add(out: Assembly, row: int, low: str, high: str) -> None:
    out.emit(f"""
        ld l,{row}
        ld e,l
        ld a,(hl)
        {low}
        ld (hl),a
        ld a,(de)
        {high}
        ld (de),a
    """)
