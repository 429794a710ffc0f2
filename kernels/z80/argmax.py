"""Argmax on Z80: one walk over the elements, keeping the first largest."""

from __future__ import annotations

from kernels.emit import Job, emitter, tensor_symbol
from kernels.ops.argmax import Argmax


@emitter("z80", Argmax)
def emit(job: Job) -> None:
    """Write the walk. Registers: HL next element; DE the largest; C its index, B elements left.

    Signed elements are compared with their sign bits flipped. Clobbers AF, BC, DE, HL, IX. Stack:
    none.
    """
    layer = job.node
    assert isinstance(layer, Argmax)
    source, out = layer.input, job.code
    wide = source.dtype.size == 2
    flip = "xor 0x80" if source.dtype.signed else ""
    walk, keep = job.label("walk"), job.label("keep")
    low = "ld c,(hl)\ninc hl" if wide else "ld c,0"
    out.emit(f"""
            ld hl,{tensor_symbol(source)}
            ld de,0                     ; below or equal to any element
            ld ix,0                     ; IXL the index, IXH the largest's
            ld b,{source.count & 0xFF}
    {walk}:
            {low}
            ld a,(hl)                   ; A:C the element, as unsigned
            inc hl
            {flip}
            cp d
            jr c,{keep}
            jr nz,{walk}_above
            ld a,e
            cp c
            jr nc,{keep}
            ld a,d
    {walk}_above:
            ld d,a
            ld e,c
            ld a,ixl
            ld ixh,a
    {keep}:
            inc ixl
            djnz {walk}
            ld a,ixh
            ld ({tensor_symbol(layer.output)}),a
    """)
