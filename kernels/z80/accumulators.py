"""From a layer's sums in SRAM to its output: one walk, the same for every dense kernel.

The sums lie one after the other, `RequantPlan.acc_bytes` bytes each, in the order of the outputs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.emit import Job, tensor_symbol
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan
from kernels.z80.requantize import constants_size, output_constants, requantize


def finish(job: Job, layer: Linear, plan: RequantPlan, sums: str, bias: NDArray[np.int64]) -> None:
    """Requantize all sums, from the symbol `sums` on, with what is added to each, int64 (out,).

    A byte of packed outputs begins as its highest bit alone: bits enter from above, and when that
    one falls out the byte is full.

    Uses every register but I and R. Stack: two bytes, four with sums of 32 bits.
    """
    out, loop = job.code, job.label("finish")
    job.consts.emit(f"{job.label('outputs')}:")
    for unit in range(len(bias)):
        job.consts.data(".byte", output_constants(plan, bias, unit))
    bits = layer.output.dtype.packed
    if bits:
        _fill_outputs(out, layer)
    out.emit(f"""
        ld hl,{sums}
        ld ix,{job.label("outputs")}
        ld iy,{tensor_symbol(layer.output)}
    {loop}:
        {_LOAD[plan.acc_bytes]}
    """)
    requantize(out, loop, plan)
    if bits:
        out.emit(f"srl l\nrr (iy+0)\njr nc,{loop}_bit\ninc iy\n{loop}_bit:")
    else:
        store_output(out, layer.output.dtype.size)
    out.emit(f"""
        ld de,{constants_size(plan)}
        add ix,de
        pop hl
    """)
    jump_unless_at(out, f"({sums}+{len(bias) * plan.acc_bytes})", loop)
    if bits:
        out.emit("srl (iy+0)\n" * (-len(bias) % 8))


def _fill_outputs(out: Assembly, layer: Linear) -> None:
    first, size = tensor_symbol(layer.output), layer.output.size
    out.emit(f"ld hl,{first}\nld (hl),0x80")
    if size > 1:
        out.emit(f"ld de,{first}+1\nld bc,{size - 1}\nldir")


_LOW = "ld e,(hl)                   ; the sum\ninc hl\nld d,(hl)\ninc hl\n"
_LOAD = {
    2: f"{_LOW}push hl\nex de,hl",
    3: f"{_LOW}ld a,(hl)\ninc hl\npush hl\nex de,hl",
    4: f"{_LOW}ld c,(hl)\ninc hl\nld b,(hl)\ninc hl\npush hl\npush bc\nex de,hl\nexx\npop hl\nexx",
}


def jump_unless_at(out: Assembly, end: str, label: str) -> None:
    """Jump unless HL is at an address; 21 T while only its low byte tells."""
    out.emit(f"""
        ld a,l
        cp {end}&0xff
        jp nz,{label}
        ld a,h
        cp {end}>>8
        jp nz,{label}
    """)


def store_output(out: Assembly, size: int) -> None:
    """HL or L to where IY points, and step on."""
    out.emit("ld (iy+0),l\ninc iy")
    if size == 2:
        out.emit("ld (iy+0),h\ninc iy")
