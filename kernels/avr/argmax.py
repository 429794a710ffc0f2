"""Argmax on AVR: one walk over the elements, keeping the first largest."""

from __future__ import annotations

from kernels.avr.memory import point, until
from kernels.emit import Job, emitter, tensor_symbol
from kernels.ops.argmax import Argmax


@emitter("avr", Argmax)
def emit(job: Job) -> None:
    """Write the walk. Registers: r20, r21 the element; r18, r19 the largest; r22 its index.

    Clobbers r18..r23, X, Y. Stack: none.
    """
    layer = job.node
    assert isinstance(layer, Argmax)
    source, out = layer.input, job.code
    wide, signed = source.dtype.size == 2, source.dtype.signed
    walk, keep = job.label("walk"), job.label("keep")
    end = f"{tensor_symbol(source)} + {source.size}"
    out.emit(point("X", tensor_symbol(source)))
    out.emit(f"""
            clr   r22                     ; the first element leads
            clr   r23
            ld    r18, X+
            {"ld    r19, X+" if wide else ""}
            rjmp  {keep}
    {walk}:
            inc   r23
            ld    r20, X+
            {"ld    r21, X+" if wide else ""}
            cp    r18, r20
            {"cpc   r19, r21" if wide else ""}
            {"brge" if signed else "brsh"}  {keep}      ; not above the largest
            {"movw  r18, r20" if wide else "mov   r18, r20"}
            mov   r22, r23
    {keep}:
    """)
    job.at_most(walk, source.count - 1)
    out.emit(until("X", end, walk))
    out.emit(f"sts   {tensor_symbol(layer.output)}, r22")
