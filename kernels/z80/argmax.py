"""Argmax on Z80: one walk over the elements, keeping the first largest."""

from __future__ import annotations

from kernels.emit import Job, emitter, tensor_symbol
from kernels.ir import Tensor
from kernels.ops.argmax import Argmax


@emitter("z80", Argmax)
def emit(job: Job) -> None:
    """Write the walk, from the last element to the first, so that of equals the first stays.

    Registers: HL the element; DE the largest; C its place, from 1; B elements left. Signed elements
    are compared with their sign bits flipped. Clobbers AF, BC, DE, HL. Stack: none.
    A smaller element takes 42 T, 6 more with two bytes, 7 more signed.
    """
    layer = job.node
    assert isinstance(layer, Argmax)
    source, out = layer.input, job.code
    walk, keep = job.label("walk"), job.label("keep")
    job.at_most(walk, source.count)
    flip = "xor 0x80" if source.dtype.signed else ""
    tie = f"jr nz,{walk}_above\nld a,(hl)\ncp e\njr c,{keep}\nld a,d" if _wide(source) else ""
    out.emit(f"""
            ld hl,{tensor_symbol(source)}+{source.size - 1}
            ld de,0                     ; below or equal to any element
            ld b,{source.count & 0xFF}
    {walk}:
            ld a,(hl)                   ; the element's high byte, as unsigned
            {flip}
            {"dec hl" if _wide(source) else ""}
            cp d
            jr c,{keep}
            {tie}
    {walk}_above:
            ld d,a
            {"ld e,(hl)" if _wide(source) else ""}
            ld c,b
    {keep}:
            dec hl
            djnz {walk}
            ld a,c
            dec a
            ld ({tensor_symbol(layer.output)}),a
    """)


def _wide(tensor: Tensor) -> bool:
    return tensor.dtype.size == 2
