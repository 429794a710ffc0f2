"""TableActivation on AVR: one walk, a look-up in flash for each element."""

from __future__ import annotations

import numpy as np

from kernels.avr.memory import RAMPZ, point, until
from kernels.emit import Job, emitter, little_endian, tensor_symbol
from kernels.ops.table_activation import TableActivation


@emitter("avr", TableActivation)
def emit(job: Job) -> None:
    """Write the walk. Registers: r18 the element; r2 zero; X from, Y to; Z the table.

    The table is in the order of bytes as they are stored. Clobbers r2, r18, r20, X, Y, Z. Stack:
    none. Cycles an element: 14, with 16-bit results 21; where constants are far 3 or 4 more.
    """
    layer = job.node
    assert isinstance(layer, TableActivation)
    source, output, out = layer.input, layer.output, job.code
    table, loop = job.label("table"), job.label("loop")
    _write_table(job, layer, table)
    job.at_most(loop, output.count)
    out.emit(point("X", tensor_symbol(source)) + point("Y", tensor_symbol(output)))
    index = f"""
        add   r30, r18
        adc   r31, r2
        {"adc   r20, r2" if job.far else ""}
    """
    load = "elpm" if job.far else "lpm "
    out.emit(f"""
            clr   r2
    {loop}:
            ld    r18, X+
            ldi   r30, lo8({table})
            ldi   r31, hi8({table})
            {f"ldi   r20, hh8({table})" if job.far else ""}
            {index * output.dtype.size}
            {f"out   {RAMPZ:#x}, r20" if job.far else ""}
    """)
    for _ in range(output.dtype.size):
        out.emit(f"{load}  r18, Z+\nst    Y+, r18")
    out.emit(until("Y", f"{tensor_symbol(output)} + {output.size}", loop))


def _write_table(job: Job, layer: TableActivation, label: str) -> None:
    by_byte = np.roll(layer.table, layer.input.dtype.low)
    size = layer.output.dtype.size
    job.consts.emit(f"{label}:")
    job.consts.data(".byte", [byte for v in by_byte for byte in little_endian(int(v), size)])
