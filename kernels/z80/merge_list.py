"""Merges of shared sums (shared_sums.py) as a list that SP walks, two merges at a time.

A list is the address of what does two merges, six bytes that say where their sums lie, and so on;
a last one that is alone takes four bytes; then the address to go on at. RET goes from one to the
next.

Registers: H page of the sums' low bytes, high bytes in the next. Clobbers AF, BC, DE, L. A merge
takes 137 T and half a RET, or 142 and a whole one where it is alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernels.asm import Assembly
from kernels.emit import Job
from kernels.shared_sums import Merge

TIME = 142
_NEXT = "next_merge"  # what promises call jumps from one to the next
_STEPS = {1: ("add a,c", "adc a,b"), -1: ("sub c", "sbc a,b")}


def merge_by_list(job: Job, name: str, merges: Sequence[Merge]) -> None:
    """Write code that does merges in their order, with SP borrowed and H set."""
    table, end = job.table(f"{name}_merges"), job.label(f"{name}_merged")
    job.at_most(_NEXT, -(-len(merges) // 2) + 1)
    job.jumps(_NEXT, end)
    for first in range(0, len(merges), 2):
        some = merges[first : first + 2]
        handler = _handler(job, some)
        job.jumps(_NEXT, handler)
        table.emit(f".word {handler}")
        places = [place for m in some for place in (m.shared, m.one, m.other)]
        table.data(".byte", places + [0] * (len(places) % 2))
    table.emit(f".word {end}")
    job.code.emit(f"ld sp,{job.label(f'{name}_merges')}\nret ; #{_NEXT}\n{end}:")


def _handler(job: Job, merges: Sequence[Merge]) -> str:
    """Code for one or two merges of certain signs."""
    signs = [merge.sign for merge in merges]
    name = "merge_" + "_".join("add" if sign > 0 else "sub" for sign in signs)

    def write(out: Assembly) -> None:
        out.emit("pop de                      ; shared, one")
        _fetch(out, "e")
        _add(out, "d", 1)
        out.emit("pop de                      ; other, shared")
        _add(out, "e", signs[0])
        if len(signs) > 1:
            _fetch(out, "d")
            out.emit("pop de                      ; one, other")
            _add(out, "e", 1)
            _add(out, "d", signs[1])
        out.emit(f"ret ; #{_NEXT}")

    return job.share(name, write, code=True)


def _fetch(out: Assembly, place: str) -> None:
    """A sum to BC."""
    out.emit(f"""
        ld l,{place}
        ld c,(hl)
        inc h
        ld b,(hl)
        dec h
    """)


def _add(out: Assembly, place: str, sign: int) -> None:
    """BC onto a sum, or off it."""
    low, high = _STEPS[sign]
    out.emit(f"""
        ld l,{place}
        ld a,(hl)
        {low}
        ld (hl),a
        inc h
        ld a,(hl)
        {high}
        ld (hl),a
        dec h
    """)
