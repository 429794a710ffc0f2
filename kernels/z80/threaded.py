"""Additions as threaded code: what the kernels have in common that let SP walk lists.

A word of a list is an address in unrolled additions, to which RET jumps; what follows is popped.
"""

from __future__ import annotations

ADD_PAIR = """
    pop bc
    ld l,c
    add a,(hl)                  ; R, in A and D, grows
    jr nc,$+3
    inc d
    ld l,b
    add a,(hl)
    jr nc,$+3
    inc d
"""
"""Add what two indices point to, in the page H, to R: 56 T, 1 less for each carry."""


def add_level(*, wide: bool) -> str:
    """Add R to the sum in IX, with its upper half in IY: 19 T, or 31, 36 where it carries."""
    return "ld e,a\nadd ix,de\n" + ("jr nc,$+4\ninc iy" if wide else "")
