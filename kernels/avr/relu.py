"""Relu on AVR: one walk that cuts values off below and above."""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.avr.memory import point, until
from kernels.emit import Job, emitter, little_endian, tensor_symbol
from kernels.ops.relu import Relu


@emitter("avr", Relu)
def emit(job: Job) -> None:
    """Write the walk. Registers: r18, r19 the element; r20 a bound's high byte; X from, Y to.

    A bound that the input's proven range does not reach costs nothing. Clobbers r18..r20, X, Y.
    Stack: none. Cycles an element: 7 for 8 bits and 3 more a bound; 11 for 16 bits and 5 more a
    bound, 6 where it cuts.
    """
    layer = job.node
    assert isinstance(layer, Relu)
    source, output, out = layer.input, layer.output, job.code
    known, bounds, loop = job.ranges[source.name], layer.bounds, job.label("loop")
    job.at_most(loop, output.count)
    out.emit(point("X", tensor_symbol(source)) + point("Y", tensor_symbol(output)))
    out.emit(f"{loop}:")
    for byte in range(source.dtype.size):
        out.emit(f"ld    r{18 + byte}, X+")
    signed = source.dtype.signed
    if known.low < bounds.low:
        _bound(out, f"{loop}_low", bounds.low, source.dtype.size, "brge" if signed else "brsh")
    if known.high > bounds.high:
        _bound(out, f"{loop}_high", bounds.high, source.dtype.size, "brlt" if signed else "brlo")
    for byte in range(source.dtype.size):
        out.emit(f"st    Y+, r{18 + byte}")
    out.emit(until("Y", f"{tensor_symbol(output)} + {output.size}", loop))


def _bound(out: Assembly, label: str, bound: int, size: int, keep: str) -> None:
    """Take the bound unless the element compares as `keep` says."""
    values = little_endian(bound, size)
    out.emit(f"cpi   r18, {values[0]}")
    if size == 2:
        out.emit(f"ldi   r20, {values[1]}\ncpc   r19, r20")
    out.emit(f"{keep}  {label}")
    for byte, value in enumerate(values):
        out.emit(f"ldi   r{18 + byte}, {value}")
    out.emit(f"{label}:")
