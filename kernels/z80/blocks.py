"""Small pieces of Z80 code that many kernels need: steps of pointers, copies, fills."""

from __future__ import annotations

from kernels.emit import Job, little_endian

_UNROLLED = 16
_SHORTEST = 32  # bytes of a copy that gets a loop


def step(count: int) -> str:
    """Lines that add a constant to HL; they use BC."""
    if abs(count) <= 3:
        return "\n".join(["inc hl" if count > 0 else "dec hl"] * abs(count))
    return f"ld bc,{count}\nadd hl,bc"


def copy(job: Job, label: str, count: int, times: int) -> None:
    """Copy `count` bytes from HL to DE, 16 T-states each and 10 a turn of 16. Uses BC.

    times: how often that runs each time the layer does.
    """
    out = job.code
    turns, rest = divmod(count, _UNROLLED)
    if count < _SHORTEST:
        turns, rest = 0, count
    out.emit("ldi\n" * rest)
    if turns:
        job.at_most(label, turns * times)
        out.emit(f"ld bc,{turns * _UNROLLED}\n{label}:")
        out.emit("ldi\n" * _UNROLLED + f"jp pe,{label}")


def fill(job: Job, value: int, size: int, count: int, times: int) -> str:
    """Lines that store `count` values of `size` bytes from DE on, and step DE; uses A, BC, HL.

    times: how often that runs each time the layer does.
    """
    low, *high = little_endian(value, size)
    rest = (count - 1) * size
    tag = job.label("fill")
    job.at_most(tag, rest * times)
    return f"""
        ld h,d
        ld l,e
        ld (hl),{low}
        inc de
        {f"ld a,{high[0]}" if high else ""}
        {"ld (de),a" if high else ""}
        {"inc de" if high else ""}
        {f"ld bc,{rest}" if rest else ""}
        {f"ldir ; #{tag}" if rest else ""}
    """
