"""Linear with group-sums weights on AVR: sums of every subset of four inputs, looked up.

    sum(w * u) = 2 * sum over positive weights of u - sum(u),  u = x + offset, not negative
Eight groups of four inputs at a time (a pass) have their tables in one aligned page of SRAM: the
sum of a group's subset i at 16 * i + 2 * group. Then all outputs go by: a byte of weights is the
indices of two groups, each moved to the upper half of YL; the displacement chooses the group. Sums
over positive weights lie in SRAM between passes; they are not negative, so they have no more bytes
than their bound. A last pass of fewer groups has code of its own.

Bytes of constants: for each output half a byte a group, whole bytes in a last pass of odd groups, a
bias and a multiplier. SRAM: the page, and two or three bytes for each output.
Cycles: 114 for the table of a group; for each output and pass 20 for each two groups, and about 13,
or 15 where the sums have three bytes. The sum of inputs is taken from the tables' largest entries.
Registers: r18, r19 sums; r20 weights; r2..r5 inputs; r24, r25 the next input; r21 counts passes;
X sums in SRAM, Y tables, Z the stream: pass by pass, output by output.
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
from kernels.encodings import group_sums
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization

_GROUP = 4  # inputs
_PASS = 32  # inputs
_FINISHED = 256  # outputs of one requantization loop
_TOTAL = 6  # the sum of all inputs: lowest register
_ZERO = 10


@emitter("avr", Linear, group_sums.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register. Stack: none."""
    layer = job.node
    assert isinstance(layer, Linear)
    _GroupSums(job, layer, plan_requantization(layer, job.ranges[layer.input.name])).write()


@dataclass(frozen=True)
class _GroupSums:
    job: Job
    layer: Linear
    plan: RequantPlan

    @cached_property
    def offset(self) -> int:
        """What makes every input unsigned."""
        return 0 if self.job.ranges[self.layer.input.name].low >= 0 else 128

    @cached_property
    def width(self) -> int:
        """Bytes of a sum over positive weights: those of its bound, at least those of a table."""
        largest = (self.job.ranges[self.layer.input.name].high + self.offset) * (
            self.layer.input.count
        )
        return min(self.plan.acc_bytes, max(-(-largest.bit_length() // 8), 2))

    @cached_property
    def bias(self) -> NDArray[np.int64]:
        """Less what the inputs' offset adds, int64 (out,)."""
        sums = self.layer.weights.astype(np.int64).sum(axis=1)
        bias: NDArray[np.int64] = self.layer.folded_bias - (
            (self.offset * sums) << self.layer.input_shift
        )
        return bias

    def write(self) -> None:
        job, inputs = self.job, self.layer.input
        job.scratch("sums", len(self.layer.bias) * self.width)
        job.scratch("table", 256, align=256)
        job.scratch("start", self.plan.acc_bytes)
        self._write_stream()
        self._clear()
        job.code.emit(point_z(job, job.label("stream")))
        job.code.emit(f"""
            ldi   r24, lo8({tensor_symbol(inputs)})
            ldi   r25, hi8({tensor_symbol(inputs)})
        """)
        whole, rest = divmod(inputs.count, _PASS)
        if whole:
            label = job.label("pass")
            job.at_most(label, whole)
            job.code.emit(f"ldi   r21, {whole}\n{label}:")
            self._pass(label, _PASS, whole)
            job.code.emit(f"dec   r21\nbreq  {label}_last\nrjmp  {label}\n{label}_last:")
        if rest:
            self._pass(job.label("rest"), rest, 1)
        self._store_total()
        self._finish()

    def _write_stream(self) -> None:
        out, weights = self.job.consts, self.layer.weights
        out.emit(f"{self.job.label('stream')}:")
        for first in range(0, weights.shape[1], _PASS):
            out.data(".byte", group_sums.encode(weights[:, first : first + _PASS], _GROUP))
        out.data(".byte", output_constants(self.plan, self.bias, slice(None)))

    def _clear(self) -> None:
        """All sums in SRAM, and the sum of inputs."""
        job, out = self.job, self.job.code
        size, label = len(self.layer.bias) * self.width, job.label("clear")
        job.at_most(label, size)
        out.emit("\n".join(f"clr   r{r}" for r in [*range(_TOTAL, _TOTAL + 4), _ZERO]))
        out.emit(f"""
            {point("X", job.label("sums"))}
                ldi   r24, lo8({size})
                ldi   r25, hi8({size})
        {label}:
                st    X+, r{_ZERO}
                sbiw  r24, 1
                brne  {label}
        """)

    def _pass(self, label: str, inputs: int, times: int) -> None:
        """So many inputs, so many times: their tables, then every output."""
        groups, rest = divmod(inputs, _GROUP)
        self.job.at_most(f"{label}_group", groups * times)
        outputs = len(self.layer.bias)
        self.job.at_most(f"{label}_out", times * (outputs if outputs % 2 else outputs // 2))
        out = self.job.code
        out.emit(f"movw  r26, r24\nldi   r28, 0\nldi   r29, hi8({self.job.label('table')})")
        if groups:
            out.emit(f"{label}_group:")
            self._fill(_GROUP)
            again = f"""
                cpi   r28, {2 * groups}
                breq  {label}_filled
                rjmp  {label}_group
            {label}_filled:
            """
            out.emit(again if groups > 1 else "")
        if rest:
            self._fill(rest)
        out.emit("movw  r24, r26\n" + point("X", self.job.label("sums")))
        self._outputs(label, groups + (rest > 0))

    def _fill(self, inputs: int) -> None:
        """The table of one group at YL, which steps on to the next; entries in Gray's order."""
        out = self.job.code
        for number in range(_GROUP):
            register = f"r{2 + number}" if not self.offset else "r16"
            if number >= inputs:
                out.emit(f"clr   r{2 + number}")
            else:
                out.emit(f"ld    {register}, X+")
                if self.offset:
                    out.emit(f"subi  r16, 0x80\nmov   r{2 + number}, r16")
        out.emit("clr   r18\nclr   r19")
        place = before = 0
        for count in range(1 << _GROUP):
            index = count ^ (count >> 1)
            if changed := index ^ before:
                names = ("add", "adc") if index & changed else ("sub", "sbc")
                source = 2 + changed.bit_length() - 1
                out.emit(f"{names[0]}   r18, r{source}\n{names[1]}   r19, r{_ZERO}")
            if (block := 64 * (index >> 2)) != place:
                out.emit(f"subi  r28, {place - block}")
                place = block
            at = 16 * (index & 3)
            out.emit(f"std   Y+{at}, r18\nstd   Y+{at + 1}, r19")
            if index == (1 << _GROUP) - 1:
                self._add_total()
            before = index
        out.emit(f"subi  r28, {place - 2}")

    def _add_total(self) -> None:
        """The entry of all four inputs is their sum."""
        out = self.job.code
        for byte in range(self.plan.acc_bytes):
            source = 18 + byte if byte < 2 else _ZERO
            out.emit(f"{'adc' if byte else 'add'}   r{_TOTAL + byte}, r{source}")

    def _outputs(self, label: str, groups: int) -> None:
        """Add what a pass has for every output, two outputs at a time where they are even."""
        out, outputs = self.job.code, len(self.layer.bias)
        out.emit(f"{label}_out:")
        for _ in range(2 - outputs % 2):
            self._look_up(groups)
            for byte in range(self.width):
                register = 18 + byte if byte < 2 else _ZERO
                out.emit(f"""
                    ld    r0, X
                    {"adc" if byte else "add"}   r0, r{register}
                    st    X+, r0
                """)
        end = f"{self.job.label('sums')} + {outputs * self.width}"
        out.emit(f"""
                cpi   r26, lo8({end})
                breq  {label}_high
        {label}_back:
                rjmp  {label}_out
        {label}_high:
                cpi   r27, hi8({end})
                brne  {label}_back
        """)

    def _look_up(self, groups: int) -> None:
        """Leave in r18, r19 the sum of an output's entries; the second group of a byte first."""
        out = self.job.code
        first = True
        for group in range(0, groups, 2):
            out.emit(load(self.job, "r20"))
            for place in (group + 1, group):
                if place < groups:
                    out.emit("mov   r28, r20\nandi  r28, 0xf0")
                    self._add_entry(2 * place, first=first)
                    first = False
                if place > group:
                    out.emit("swap  r20")

    def _add_entry(self, at: int, *, first: bool) -> None:
        low, high = ("r18", "r19") if first else ("r0", "r1")
        self.job.code.emit(f"ldd   {low}, Y+{at}\nldd   {high}, Y+{at + 1}")
        if not first:
            self.job.code.emit("add   r18, r0\nadc   r19, r1")

    def _store_total(self) -> None:
        """Leave in SRAM what every doubled sum is lessened by."""
        for byte in range(self.plan.acc_bytes):
            self.job.code.emit(f"sts   {self.job.label('start')} + {byte}, r{_TOTAL + byte}")

    def _finish(self) -> None:
        """Double a sum, take the sum of inputs off, requantize; output by output."""
        job, out = self.job, self.job.code
        out.emit(point("X", job.label("sums")) + point("Y", output_symbol(job)))
        registers = range(ACC, ACC + self.plan.acc_bytes)
        lines = [f"ld    r{register}, X+" for register in registers[: self.width]]
        lines += [f"clr   r{register}" for register in registers[self.width :]]
        lines += [f"{'lsl' if r == ACC else 'rol'}   r{r}" for r in registers]
        for byte, register in enumerate(registers):
            lines.append(f"lds   r25, {job.label('start')} + {byte}")
            lines.append(f"{'sbc' if byte else 'sub'}   r{register}, r25")
        for number, size in enumerate(blocks(len(self.layer.bias), _FINISHED)):
            out.emit(f"ldi   r24, {size % 256}")
            finish(job, out, job.label(f"done{number}"), self.plan, ("\n".join(lines), "Y+"))
        pack_outputs(job)
