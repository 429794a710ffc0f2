"""From a layer's sums in SRAM to its output: one walk, the same for every dense kernel.

The sums lie one after the other, `RequantPlan.acc_bytes` bytes each, in the order of the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.emit import Job, tensor_symbol
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan
from kernels.z80.requantize import constants_size, output_constants, requantize
from kernels.z80.stack_pointer import borrowed, may_borrow


def finish(job: Job, layer: Linear, plan: RequantPlan, sums: str, bias: NDArray[np.int64]) -> None:
    """Requantize all sums, from the symbol `sums` on, with what is added to each, int64 (out,).

    SP walks the sums where it may be borrowed and outputs are whole bytes. A byte of packed outputs
    begins as its highest bit alone: bits enter from above, and when that one falls out the byte is
    full.

    Uses every register but I and R. Stack: two bytes, four with sums of 32 bits.
    """
    job.consts.emit(f"{job.label('outputs')}:")
    for unit in range(len(bias)):
        job.consts.data(".byte", output_constants(plan, bias, unit))
    walk = _Walk(job, layer, plan, sums)
    if layer.output.dtype.packed:
        walk.to_bits()
    elif may_borrow(job.target):
        with borrowed(job, "sp_finish"):
            walk.along_the_stack_pointer()
    else:
        walk.beside_a_stack()


@dataclass(frozen=True)
class _Walk:
    job: Job
    layer: Linear
    plan: RequantPlan
    sums: str

    @property
    def loop(self) -> str:
        return self.job.label("finish")

    def along_the_stack_pointer(self) -> None:
        out, output = self.job.code, self.layer.output
        out.emit(f"ld sp,{self.sums}")
        self._begin(_POP[self.plan.acc_bytes])
        store_output(out, output.dtype.size)
        end = f"({tensor_symbol(output)}+{output.size})"
        out.emit(f"""
            ld de,{constants_size(self.plan)}
            add ix,de
            ld a,iyl
            cp {end}&0xff
            jp nz,{self.loop}
            ld a,iyh
            cp {end}>>8
            jp nz,{self.loop}
        """)

    def beside_a_stack(self) -> None:
        self.job.code.emit(f"ld hl,{self.sums}")
        self._begin(_LOAD[self.plan.acc_bytes])
        store_output(self.job.code, self.layer.output.dtype.size)
        self._end()

    def to_bits(self) -> None:
        out, units = self.job.code, len(self.layer.bias)
        _fill_outputs(self.job, self.layer)
        out.emit(f"ld hl,{self.sums}")
        self._begin(_LOAD[self.plan.acc_bytes])
        out.emit(f"srl l\nrr (iy+0)\njr nc,{self.loop}_bit\ninc iy\n{self.loop}_bit:")
        self._end()
        out.emit("srl (iy+0)\n" * (-units % 8))

    def _begin(self, load: str) -> None:
        """From the head of the loop to an output in HL."""
        self.job.at_most(self.loop, len(self.layer.bias))
        self.job.code.emit(f"""
            ld ix,{self.job.label("outputs")}
            ld iy,{tensor_symbol(self.layer.output)}
        {self.loop}:
            {load}
        """)
        requantize(self.job, self.loop, self.plan, len(self.layer.bias))

    def _end(self) -> None:
        self.job.code.emit(f"""
            ld de,{constants_size(self.plan)}
            add ix,de
            pop hl
        """)
        end = f"({self.sums}+{len(self.layer.bias) * self.plan.acc_bytes})"
        jump_unless_at(self.job.code, end, self.loop)


def _fill_outputs(job: Job, layer: Linear) -> None:
    first, size = tensor_symbol(layer.output), layer.output.size
    job.code.emit(f"ld hl,{first}\nld (hl),0x80")
    if size > 1:
        job.code.emit(f"ld de,{first}+1\nld bc,{size - 1}\nldir ; #{job.label('clear')}")
        job.at_most(job.label("clear"), size - 1)


_LOW = "ld e,(hl)                   ; the sum\ninc hl\nld d,(hl)\ninc hl\n"
_LOAD = {
    2: f"{_LOW}push hl\nex de,hl",
    3: f"{_LOW}ld a,(hl)\ninc hl\npush hl\nex de,hl",
    4: f"{_LOW}ld c,(hl)\ninc hl\nld b,(hl)\ninc hl\npush hl\npush bc\nex de,hl\nexx\npop hl\nexx",
}


_POP = {
    2: "pop hl                      ; the sum",
    3: "pop hl                      ; the sum\npop bc\ndec sp\nld a,c",
    4: "pop hl                      ; the sum\nexx\npop hl\nexx",
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
