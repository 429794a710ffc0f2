"""Relu on Z80: one walk that cuts values off below and above."""

from __future__ import annotations

from kernels.emit import Job, emitter, tensor_symbol
from kernels.ops.relu import Relu


@emitter("z80", Relu)
def emit(job: Job) -> None:
    """Write the walk. Registers: HL from, DE to; A or BC the element; IX elements left.

    Signed elements are compared with their sign bits flipped. A bound that the input's proven range
    does not reach costs nothing. Clobbers AF, BC, DE, HL, IX. Stack: none. T-states an element: 62
    for 8 bits, 19 more a bound, 21 where it cuts, and 14 more if it is signed; 114 for 16 bits, 34
    more a bound, 39 where it cuts.
    """
    layer = job.node
    assert isinstance(layer, Relu)
    source, output, loop = layer.input, layer.output, job.label("loop")
    known, bounds = job.ranges[source.name], layer.bounds
    low = bounds.low if known.low < bounds.low else None
    high = bounds.high if known.high > bounds.high else None
    cut = _cut_words if source.dtype.size == 2 else _cut_bytes
    job.at_most(loop, output.count)
    job.code.emit(f"""
            ld hl,{tensor_symbol(source)}
            ld de,{tensor_symbol(output)}
            ld ix,{output.count}
    {loop}:
            {cut(loop, low, high, signed=source.dtype.signed)}
            dec ix
            ld a,ixh
            or ixl
            jp nz,{loop}
    """)


def _cut_bytes(label: str, low: int | None, high: int | None, *, signed: bool) -> str:
    sign = 0x80 if signed else 0
    flip = "xor 0x80" if signed else ""
    below, above = "", ""
    if low is not None:
        limit = (low ^ sign) & 0xFF
        below = f"cp {limit}\njr nc,{label}_low\nld a,{limit}\n{label}_low:"
    if high is not None:
        limit = (high ^ sign) & 0xFF
        above = f"cp {limit}\njr c,{label}_high\nld a,{limit}\n{label}_high:"
    return f"""
            ld a,(hl)
            inc hl
            {flip}
            {below}
            {above}
            {flip}
            ld (de),a
            inc de
    """


def _cut_words(label: str, low: int | None, high: int | None, *, signed: bool) -> str:
    sign = 0x8000 if signed else 0
    flip = "xor 0x80" if signed else ""
    below = _cut_word(f"{label}_low", low, "nc", sign)
    above = _cut_word(f"{label}_high", high, "c", sign)
    return f"""
            ld c,(hl)
            inc hl
            ld a,(hl)
            inc hl
            {flip}
            ld b,a
            {below}
            {above}
            ld a,c
            ld (de),a
            inc de
            ld a,b
            {flip}
            ld (de),a
            inc de
    """


def _cut_word(label: str, limit: int | None, keep: str, sign: int) -> str:
    """Take the limit unless BC compares as `keep` says."""
    if limit is None:
        return ""
    value = (limit ^ sign) & 0xFFFF
    return f"""
            ld a,c
            sub {value & 0xFF}
            ld a,b
            sbc a,{value >> 8}
            jr {keep},{label}
            ld bc,{value}
    {label}:
    """
