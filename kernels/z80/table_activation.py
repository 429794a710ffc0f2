"""TableActivation on Z80: one walk, a look-up for each element."""

from __future__ import annotations

import numpy as np

from kernels.asm import Assembly
from kernels.emit import Job, emitter, tensor_symbol
from kernels.ops.table_activation import TableActivation


@emitter("z80", TableActivation)
def emit(job: Job) -> None:
    """Write the walk. Registers: HL from, DE to; BC the table; IX elements left.

    The table is in the order of bytes as they are stored: a page of low bytes and, for 16-bit
    results, one of high bytes. Clobbers AF, BC, DE, HL, IX. Stack: none. T-states an element: 69,
    with 16-bit results 97.
    """
    layer = job.node
    assert isinstance(layer, TableActivation)
    source, output, loop = layer.input, layer.output, job.label("loop")
    by_byte = np.roll(layer.table, layer.input.dtype.low)

    def write(out: Assembly) -> None:
        for byte in range(output.dtype.size):
            out.data(".byte", by_byte >> (8 * byte) & 0xFF)

    table = job.share(job.label("table"), write, align=256, own=True)
    second = "inc b\nld a,(bc)\nld (de),a\ninc de\ndec b" if output.dtype.size == 2 else ""
    job.at_most(loop, output.count)
    job.code.emit(f"""
            ld hl,{tensor_symbol(source)}
            ld de,{tensor_symbol(output)}
            ld ix,{output.count}
            ld b,{table}>>8
    {loop}:
            ld c,(hl)
            inc hl
            ld a,(bc)
            ld (de),a
            inc de
            {second}
            dec ix
            ld a,ixh
            or ixl
            jp nz,{loop}
    """)
