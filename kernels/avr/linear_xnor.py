"""Linear with xnor weights on AVR: bits of eight inputs at a time, by a table of bit counts.

    sum(w * b) = number of positive weights - D,  D = number of places where weight and input differ
Inputs stay in registers, at most 20 bytes of them at a time (a pass), while outputs go by: weights
are loaded into XL, exclusive-or with an input byte makes them an index into an aligned page of SRAM
that holds the bit count of its index. Counts of several passes meet in SRAM.

Where outputs are bits, the sign of a sum is a comparison of D with one constant, which ends the
last pass; other outputs are requantized behind it.

Bytes of constants: for each output its weights, and its limit or a bias and a multiplier. SRAM: the
table, and a byte of counts for each output, two for more than 255 inputs; none in a single pass.
Cycles: 7 for each output and eight inputs, about 12 more for each output and pass; 720 for the
table. Registers: r2..r21 inputs, r0 the count, r22 and r23 where bits go, r24 bits; X table,
Y counts, Z the stream: pass by pass, output by output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.avr.memory import load, point, point_z
from kernels.avr.outputs import output_symbol, pack_outputs
from kernels.avr.requantize import ACC, finish, output_constants
from kernels.blocks import blocks
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import xnor
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization

_FIRST, _HELD = 2, 20  # registers of inputs
_FINISHED = 256  # outputs of one requantization loop


@emitter("avr", Linear, xnor.NAME, reads_packed=True, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register. Stack: none."""
    layer = job.node
    assert isinstance(layer, Linear)
    _Xnor(job, layer, plan_requantization(layer, job.ranges[layer.input.name])).write()


@dataclass(frozen=True)
class _Xnor:
    job: Job
    layer: Linear
    plan: RequantPlan

    @cached_property
    def passes(self) -> list[slice]:
        """Bytes of inputs that are in registers at a time."""
        sizes = blocks(self.layer.input.size, _HELD)
        return [slice(sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(sizes))]

    @cached_property
    def bias(self) -> NDArray[np.int64]:
        """What -D << input_shift is added to, of every output, int64 (out,)."""
        positive = np.count_nonzero(self.layer.weights > 0, axis=1)
        bias: NDArray[np.int64] = self.layer.folded_bias + (positive << self.layer.input_shift)
        return bias

    @cached_property
    def limits(self) -> NDArray[np.int64]:
        """An output is 1 where D is below this, int64 (out,)."""
        limits: NDArray[np.int64] = (self.bias >> self.layer.input_shift) + 1
        return np.clip(limits, 0, self.layer.input.count + 1)

    @cached_property
    def compares(self) -> bool:
        """Whether a comparison in the last pass gives the output.

        A limit is one byte, and so is what earlier passes count.
        """
        binary = self.layer.output.dtype.packed and self.plan.is_sign and self.layer.wrap is None
        earlier = 8 * self.passes[-1].start
        return bool(binary and earlier < 256 and self.limits.max() < 256)

    @property
    def count_bytes(self) -> int:
        """Bytes of a count in SRAM."""
        return 1 if self.layer.input.count < 256 or self.compares else 2

    def write(self) -> None:
        job, outputs = self.job, len(self.layer.bias)
        if not self.compares or len(self.passes) > 1:
            job.scratch("counts", outputs * self.count_bytes)
        self._write_stream()
        self._write_table(job.scratch("popcount", 256, align=256))
        job.code.emit(point_z(job, job.label("stream")))
        for number in range(len(self.passes)):
            self._pass(number)
        if self.compares:
            rest = outputs % 8
            if rest:
                shift = "lsr   r24\n" * (8 - rest)
                job.code.emit(f"{shift}movw  r26, r22\nst    X, r24")
        else:
            self._finish()

    def _write_stream(self) -> None:
        out = self.job.consts
        out.emit(f"{self.job.label('stream')}:")
        for number, held in enumerate(self.passes):
            columns = self.layer.weights[:, 8 * held.start : 8 * held.stop]
            rows = xnor.encode(columns).reshape(len(columns), -1)
            if self.compares and number == len(self.passes) - 1:
                rows = np.column_stack([rows, self.limits.astype(np.uint8)])
            out.data(".byte", rows.ravel())
        if not self.compares:
            out.data(".byte", output_constants(self.plan, self.bias, slice(None)))

    def _write_table(self, table: str) -> None:
        """Fill the page: sixteen rows, each the counts of 0..15 on top of its own number's."""
        label = self.job.label("table")
        self.job.at_most(label, 16)
        row = "\n".join(f"st    X+, r{18 + low.bit_count()}" for low in range(16))
        step = "\n".join(f"mov   r{19 + n}, r{18 + n}\ninc   r{19 + n}" for n in range(4))
        self.job.code.emit(f"""
            {point("X", table)}
            {point("Y", table)}
                ldi   r24, 16
                clr   r18
                st    X, r18
        {label}:
                ld    r18, Y+                 ; bits of the row's number
            {step}
            {row}
                dec   r24
                brne  {label}
        """)

    def _pass(self, number: int) -> None:
        """All outputs, with one slice of the inputs in registers."""
        job, out, held = self.job, self.job.code, self.passes[number]
        last, label = number == len(self.passes) - 1, job.label(f"pass{number}")
        compares = self.compares and last
        inputs = range(_FIRST, _FIRST + held.stop - held.start)
        out.emit(point("X", f"{tensor_symbol(self.layer.input)} + {held.start}"))
        out.emit("\n".join(f"ld    r{register}, X+" for register in inputs))
        outputs = len(self.layer.bias)
        job.at_most(label, outputs if outputs % 2 else outputs // 2)
        if compares and number == 0:
            out.emit(f"ldi   r28, lo8({outputs})\nldi   r29, hi8({outputs})")
        else:
            out.emit(point("Y", job.label("counts")))
        if compares:
            target = tensor_symbol(self.layer.output)
            out.emit(f"ldi   r22, lo8({target})\nldi   r23, hi8({target})\nldi   r24, 0x80")
        out.emit(f"ldi   r27, hi8({job.label('popcount')})\n{label}:")
        for copy in range(copies := 2 - outputs % 2):
            self._count(inputs)
            if compares:
                self._compare(f"{label}_{copy}", first=number == 0)
            else:
                self._keep(first=number == 0)
        self._repeat(label, copies, counted=compares and number == 0)

    def _count(self, inputs: range) -> None:
        """Leave the bit count of a slice in r0; at most 160."""
        for register in inputs:
            self.job.code.emit(f"""
                {load(self.job, "r26")}
                eor   r26, r{register}
                {"ld    r0, X" if register == _FIRST else "ld    r1, X"}
                {"" if register == _FIRST else "add   r0, r1"}
            """)

    def _keep(self, *, first: bool) -> None:
        """Store the count, or add it to what earlier passes counted."""
        out = self.job.code
        if not first:
            out.emit("ld    r1, Y\nadd   r0, r1")
        out.emit("st    Y+, r0")
        if self.count_bytes == 2:
            out.emit("clr   r0" if first else "ld    r0, Y\nldi   r25, 0\nadc   r0, r25")
            out.emit("st    Y+, r0")

    def _compare(self, label: str, *, first: bool) -> None:
        """One more bit into r24, which is stored when its marker falls out."""
        job, out = self.job, self.job.code
        if not first:
            out.emit("ld    r1, Y+\nadd   r0, r1")
        out.emit(load(job, "r1"))
        if not first:
            out.emit(f"brcs  {label}_above")
        out.emit(f"""
                cp    r0, r1
        {label}_bit:
                ror   r24
                brcc  {label}_next
                movw  r26, r22
                st    X+, r24
                movw  r22, r26
                ldi   r27, hi8({job.label("popcount")})
                ldi   r24, 0x80
        """)
        if not first:
            out.emit(f"""
                rjmp  {label}_next
        {label}_above:
                clc
                rjmp  {label}_bit
            """)
        out.emit(f"{label}_next:")

    def _repeat(self, label: str, copies: int, *, counted: bool) -> None:
        """Back for the next outputs; Y counts them or runs through their counts."""
        out = self.job.code
        if counted:
            out.emit(f"sbiw  r28, {copies}\nbreq  {label}_done\nrjmp  {label}\n{label}_done:")
            return
        end = f"{self.job.label('counts')} + {len(self.layer.bias) * self.count_bytes}"
        out.emit(f"""
                cpi   r28, lo8({end})
                breq  {label}_high
        {label}_back:
                rjmp  {label}
        {label}_high:
                cpi   r29, hi8({end})
                brne  {label}_back
        """)

    def _finish(self) -> None:
        """Requantize -D, output by output."""
        job, out, width = self.job, self.job.code, self.plan.acc_bytes
        out.emit(point("X", job.label("counts")) + point("Y", output_symbol(job)))
        registers = range(ACC, ACC + width)
        lines = [f"ld    r{ACC + byte}, X+" for byte in range(self.count_bytes)]
        lines += [f"clr   r{register}" for register in registers[self.count_bytes :]]
        lines += [f"com   r{register}" for register in registers]
        lines += [f"{'subi' if r == ACC else 'sbci'}  r{r}, 0xff" for r in registers]
        for number, size in enumerate(blocks(len(self.layer.bias), _FINISHED)):
            out.emit(f"ldi   r24, {size % 256}")
            finish(job, out, job.label(f"out{number}"), self.plan, ("\n".join(lines), "Y+"))
        pack_outputs(job)
