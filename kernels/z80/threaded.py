"""Additions as threaded code: what the kernels have in common that let SP walk lists.

A word of a list is an address in unrolled additions, to which RET jumps; what follows is popped.
"""

from __future__ import annotations

from kernels.emit import Job

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


def write_pairs(job: Job, thread: str, level: str, pairs: int, most: int) -> None:
    """Additions of as many pairs, in front of the label `level`; they run `most` times together.

    thread: the name of jumps that lead into them, and to `level` where there are no pairs.
    """
    enter = f"{level}_pair"
    job.at_most(enter, most)
    job.jumps(thread, level)
    for left in range(pairs, 0, -1):
        job.code.emit(f"{enter}{left}:")
        job.jumps(thread, f"{enter}{left}")
        job.code.emit(ADD_PAIR.replace("pop bc", f"pop bc ; #{enter}"))


def add_level(*, wide: bool) -> str:
    """Add R to the sum in IX, with its upper half in IY: 19 T, or 31, 36 where it carries."""
    return "ld e,a\nadd ix,de\n" + ("jr nc,$+4\ninc iy" if wide else "")
