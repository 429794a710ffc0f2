"""Convolutions on AVR with weights as code: no load, no loop, no unpacking; nothing for a zero.

A position's window is read once for each block of outputs whose accumulators fit into r2..r17.
An input is loaded, then multiplied with each magnitude that occurs among its weights, and the
product added to or subtracted from accumulators:

    ld    r20, X+       2, once an input
    ldi   r21, 57       1
    mulsu r20, r21      2
    add, adc            2, or sub and sbc; 1 more for each byte beyond the second

So 5 cycles a weight with 16-bit accumulators and less where outputs share a magnitude, and 2 an
input that any output of the block uses. Where accumulators are wider, and for 16-bit inputs, both
operands multiply unsigned: signed inputs get an offset on loading, which the bias takes back.
Accumulators start at the bias. All sums are modulo 2**bits.

Registers: r20 (and r22) the input, r21 the magnitude, r25 zero, X the window, Y the output.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.avr.blocks import step
from kernels.avr.multiply import product
from kernels.avr.requantize_inline import requantize
from kernels.avr.walk import Walk
from kernels.blocks import blocks
from kernels.code_blocks import full_matrix, window_terms
from kernels.emit import Job, emitter, little_endian
from kernels.encodings import code
from kernels.encodings.code import Term
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.convolution import Convolution
from kernels.requant_plan import RequantPlan, plan_requantization

_FIRST, _BYTES = 2, 16  # accumulators' registers


@emitter("avr", Conv1d, code.NAME)
@emitter("avr", Conv2d, code.NAME)
def emit(job: Job) -> None:
    """Write the walk. Uses every register. Stack: none; without MUL a return address.

    Cycles of a position: those of `Walk`; of a block 4 after the first, 2 or 3 a row of the window
    and, for each output, 3 for every two bytes of the accumulator, the products, and requantizing.
    """
    layer = job.node
    assert isinstance(layer, Convolution)
    _Code(job, layer, plan_requantization(layer, job.ranges[layer.input.name])).write()


@dataclass(frozen=True)
class _Code:
    job: Job
    layer: Convolution
    plan: RequantPlan

    @cached_property
    def offset(self) -> int:
        """What makes every input unsigned; 0 where it is, or where products are signed."""
        dtype = self.layer.input.dtype
        return 1 << (dtype.bits - 1) if self._may_be_negative and not self.signed else 0

    @property
    def signed(self) -> bool:
        """Whether inputs multiply as signed bytes, which 16-bit accumulators allow."""
        plain = self.layer.input.dtype.size == 1 and self.plan.acc_bytes == 2
        return self._may_be_negative and plain and "MUL" in self.job.target.features

    @property
    def _may_be_negative(self) -> bool:
        return self.layer.factors(self.job.ranges[self.layer.input.name]).low < 0

    @cached_property
    def bias(self) -> NDArray[np.int64]:
        """Where accumulators start, int64 (out,), before the shift of inputs."""
        sums = full_matrix(self.layer).astype(np.int64).sum(axis=1)
        bias: NDArray[np.int64] = self.layer.folded_bias - (
            (self.offset * sums) << self.layer.input_shift
        )
        return bias

    def write(self) -> None:
        layer = self.layer
        walk = Walk(
            self.job,
            layer.window,
            layer.image,
            layer.input,
            layer.output,
            layer.input.zero_point,
            "",
        )
        walk.write(lambda: self._position(walk))

    def _position(self, walk: Walk) -> None:
        out, width, first = self.job.code, self.plan.acc_bytes, 0
        out.emit("clr   r25")
        for size in blocks(len(self.layer.bias), _BYTES // width):
            if first:
                out.emit(f"lds   r26, {walk.state} + 2\nlds   r27, {walk.state} + 3")
            self._start(first, size)
            self._products(walk, first, size)
            for unit in range(size):
                self._finish(
                    first + unit, list(range(_FIRST + unit * width, _FIRST + (unit + 1) * width))
                )
            first += size

    def _start(self, first: int, size: int) -> None:
        """Accumulators at their bias, or at zero where sums are shifted first."""
        start = self.bias[first : first + size] * (not self.layer.input_shift)
        data = [byte for value in start for byte in little_endian(int(value), self.plan.acc_bytes)]
        for number, value in enumerate(data):
            register = f"r{_FIRST + number}"
            lines = f"ldi   r18, {value}\nmov   {register}, r18" if value else f"clr   {register}"
            self.job.code.emit(lines)

    def _products(self, walk: Walk, first: int, size: int) -> None:
        """The block's sums over the window; X walks over what no output uses."""
        out, element, skipped = self.job.code, self.layer.input.dtype.size, 0
        for row in window_terms(self.layer, first, size):
            for terms in (terms for pixel in row for terms in pixel):
                if not terms:
                    skipped += element
                    continue
                out.emit(step("X", skipped) + "\n" + self._load())
                skipped = 0
                for term in terms:
                    self._term(term)
            skipped += walk.pitch - self.layer.window.size[1] * walk.pixel

    def _load(self) -> str:
        """The input in r20 and r22, unsigned where products are."""
        if self.layer.input.dtype.size == 1:
            return "ld    r20, X+                 ; x" + (
                "\nsubi  r20, 0x80" if self.offset else ""
            )
        offset = "\nsubi  r22, 0x80" if self.offset else ""
        return f"ld    r20, X+                 ; x\nld    r22, X+{offset}"

    def _term(self, term: Term) -> None:
        out = self.job.code
        wide = self.layer.input.dtype.size == 2
        if term.magnitude == 1 and not self.signed:
            self._apply(term, ["r20", "r22" if wide else "r25"], 0)
            return
        out.emit(f"ldi   r21, {term.magnitude}")
        if self.signed:
            out.emit("mulsu r20, r21")
            self._apply(term, ["r0", "r1"], 0)
            return
        out.emit(product(self.job, "r20", "r21"))
        self._apply(term, ["r0", "r1"], 0)
        if wide:
            out.emit(product(self.job, "r22", "r21"))
            self._apply(term, ["r0", "r1"], 1)

    def _apply(self, term: Term, sources: list[str], at: int) -> None:
        """Add the two bytes from byte `at` of some accumulators on, subtract from others."""
        width = self.plan.acc_bytes
        for units, operations in ((term.added, ("add", "adc")), (term.subtracted, ("sub", "sbc"))):
            for unit in units:
                for byte in range(at, width):
                    source = sources[byte - at] if byte - at < 2 else "r25"
                    register = _FIRST + unit * width + byte
                    self.job.code.emit(f"{operations[byte > at]}   r{register}, {source}")

    def _finish(self, unit: int, acc: list[int]) -> None:
        job, layer = self.job, self.layer
        if layer.input_shift:
            double = [f"{'rol' if place else 'lsl'}   r{r}" for place, r in enumerate(acc)]
            job.code.emit("\n".join(double * layer.input_shift))
            for place, value in enumerate(little_endian(int(self.bias[unit]), len(acc))):
                job.code.emit(
                    f"ldi   r18, {value}\n{'adc' if place else 'add'}   r{acc[place]}, r18"
                )
        multiplier = int(layer.requantization.per_channel(len(layer.bias))[unit])
        job.code.emit(requantize(job, job.label(f"u{unit}"), self.plan, acc, multiplier))
