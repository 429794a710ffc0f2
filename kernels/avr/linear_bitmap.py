"""Linear with bitmap weights on AVR: output-stationary, one test for a zero, one more for a sign.

A block's signs are a stream of their own at Y, behind its map. A byte of them is taken at a time
into r23, under a marker bit that tells when it is used up. When the block is done Y is behind its
signs, where the constants begin.

Cycles, for each byte of the map: 3, and for each of its outputs 3 where the weight is 0, 7 and the
accumulator's bytes where it is -1, 1 more where it is 1; for every eighth sign a call of 16 (15 by
RCALL), on a chip with 22 bits of PC and far constants 22. There is no multiplication, so chips
without MUL take as long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.avr.memory import RAMPZ, call, load
from kernels.avr.offset_weights import OffsetWeights
from kernels.avr.stationary import stationary_layer
from kernels.emit import Job, emitter
from kernels.encodings import bitmap
from kernels.ops.linear import Linear


@emitter("avr", Linear, bitmap.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register. Stack: one return address and two bytes."""
    _Bitmap(job, *stationary_layer(job), bitmap).write()


@dataclass(frozen=True)
class _Bitmap(OffsetWeights):
    """Sums in r2..r17, r22 the map, r23 signs, r24 and r25 the input, r1 zero.

    r18, r19 keep Z while signs are read; r20 and r21 RAMPZ of the signs and of the map.
    """

    zero = 1
    saves_y = True
    sparse = False  # the signs of a column that is skipped would have to be counted

    outputs_in_byte = 8

    @property
    def outputs_in_registers(self) -> int:
        return 16 // self.plan.acc_bytes

    def encode(self, units: slice) -> NDArray[np.uint8]:
        block = bitmap.encode(self.layer.weights[units])
        return np.concatenate([block.map, block.signs])

    def unrolled(self, size: int) -> int:  # noqa: ARG002
        """Once: there are jumps in it."""
        return 1

    def prepare(self) -> None:
        """Write the routine that leaves the next sign in the carry, and 7 more in r23."""
        far, signs = self.job.far, [int(np.count_nonzero(rows)) for rows in self._blocks()]
        self.job.at_most(self.job.label("nonzero"), sum(signs))
        self.job.at_most(self.job.label("signs"), sum(-(-count // 8) for count in signs))
        self.job.subroutine(self.job.label("signs")).emit(f"""
                movw  r18, r30
                movw  r30, r28
                {f"in    r21, {RAMPZ:#x}" if far else ""}
                {f"out   {RAMPZ:#x}, r20" if far else ""}
                {load(self.job, "r23")}
                {f"in    r20, {RAMPZ:#x}" if far else ""}
                {f"out   {RAMPZ:#x}, r21" if far else ""}
                movw  r28, r30
                movw  r30, r18
                sec                         ; the marker
                ror   r23
                ret
        """)

    def _blocks(self) -> list[NDArray[np.int8]]:
        """The weights of each block of outputs."""
        return np.split(self.layer.weights, np.cumsum(self.sizes)[:-1])

    def begin(self, size: int) -> str:
        registers = range(self.first, self.first + size * self.plan.acc_bytes)
        back = -self.layer.input.count * -(-size // 8)
        lines = [f"clr   r{register}" for register in [self.zero, *registers]]
        lines += ["ldi   r23, 1", "movw  r28, r30", f"in    r20, {RAMPZ:#x}"]
        lines += [f"subi  r28, lo8({back})", f"sbci  r29, hi8({back})"]
        lines += [f"brcs  {self._label(size, 'begun')}", "inc   r20"]
        if not self.job.far:
            lines = [line for line in lines if "r20" not in line and "brcs" not in line]
            return "\n".join(lines)
        return "\n".join([*lines, f"{self._label(size, 'begun')}:"])

    def _label(self, size: int, name: str) -> str:
        return self.job.label(f"of{size}_{name}")

    def products(self, size: int) -> str:
        lines = []
        for unit in range(size):
            if unit % 8 == 0:
                lines.append(load(self.job, "r22"))
            lines.append(self._product(unit, self._label(size, f"u{unit}")))
        return "\n".join(lines)

    def _product(self, unit: int, label: str) -> str:
        sources = [*self.inputs, *[self.zero] * self.plan.acc_bytes]
        plus, minus = (
            "\n".join(
                f"{carry if byte else first}   r{register}, r{sources[byte]}"
                for byte, register in enumerate(self.accumulator(unit))
            )
            for first, carry in (("add", "adc"), ("sub", "sbc"))
        )
        return f"""
                sbrs  r22, {unit % 8}
                rjmp  {label}_done
                lsr   r23 ; #{self.job.label("nonzero")}
                brne  {label}_sign
                {call(self.job)} {self.job.label("signs")}
        {label}_sign:
                brcs  {label}_minus
                {plus}
                rjmp  {label}_done
        {label}_minus:
                {minus}
        {label}_done:
        """

    def store_sums(self, size: int) -> str:
        """Z goes on where Y is."""
        bank = f"out   {RAMPZ:#x}, r20\n" if self.job.far else ""
        return f"movw  r30, r28\n{bank}{super().store_sums(size)}"
