"""Output-stationary Linear layers on AVR: a block's accumulators in registers, inputs one by one.

The stream at Z has for each block its weights, input by input, then the constants of its outputs. A
kernel says which registers it keeps accumulators in and what it does with one input; here is all
around that: the walk over inputs at X, the walk over blocks, requantization to outputs at Y.

Bytes of constants: the blocks' weights, and for each output a bias as wide as the accumulator and a
multiplier. SRAM: the sums of the largest block, and where sums start.

The walk is unrolled as long as its code takes no more than an eighth of what the weights take. Of
inputs that are often zero each is tested: what a zero would be multiplied with is skipped.

Cycles of the walk, for each input of each block, beside loading and products: 3 or 4 by the
unrolling, 1 more in a layer of more than 256 bytes of inputs where the low bytes of two addresses
agree. Inputs that are tested take 2 more; of a zero loading, test and the rest take 10 or 11 in
all, 2 more where constants are far.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from kernels.avr.memory import RAMPZ, call, point, point_z
from kernels.avr.outputs import output_symbol, pack_outputs
from kernels.avr.requantize import ACC, finish, output_constants
from kernels.blocks import blocks
from kernels.emit import Job, tensor_symbol
from kernels.ir import Range
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization

_NEAR = 60  # words that a conditional branch spans, with some to spare
_UNROLLED = (8, 4, 2, 1)
_CODE_SHARE = 8


@dataclass(frozen=True)
class Stationary:
    """One layer; a kernel derives from this and says what stands in the hooks."""

    job: Job
    layer: Linear
    plan: RequantPlan

    @property
    def outputs_in_registers(self) -> int:
        """The most outputs of a block."""
        raise NotImplementedError

    @property
    def outputs_in_byte(self) -> int:
        """Outputs whose weights share a byte, so that blocks are best made of so many."""
        return 1

    @property
    def zero_test(self) -> str:
        """Lines that set the Z flag where the input that was loaded is zero."""
        raise NotImplementedError

    @property
    def saves_y(self) -> bool:
        """Whether accumulators or inputs take Y."""
        return False

    @property
    def bias(self) -> NDArray[np.int64]:
        """What is added to a block's sums, of every output of the layer, int64 (out,)."""
        return self.layer.folded_bias

    def encode(self, units: slice) -> NDArray[np.uint8]:
        """The stream's bytes of a block's weights, as many for each input."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Write what is done once a layer."""

    def begin(self, size: int) -> str:
        """Lines that set a block's accumulators to their start."""
        raise NotImplementedError

    def load_input(self) -> str:
        """Lines that load the next input from X."""
        raise NotImplementedError

    def products(self, size: int) -> str:
        """Lines that take an input's products with the block's weights."""
        raise NotImplementedError

    def store_sums(self, size: int) -> str:
        """Lines behind the last input, which store a block's sums at X."""
        registers = (r for unit in range(size) for r in self.accumulator(unit))
        return "\n".join(f"st    X+, r{register}" for register in registers)

    def accumulator(self, unit: int) -> list[int]:
        """Registers of a unit's sum, the lowest byte first."""
        raise NotImplementedError

    @cached_property
    def sizes(self) -> list[int]:
        """Outputs of each block: whole bytes of weights but in the last one, where that can be."""
        outputs, largest = len(self.layer.bias), self.outputs_in_registers
        whole = self.outputs_in_byte if largest >= self.outputs_in_byte else 1
        sizes = [whole * size for size in blocks(-(-outputs // whole), largest // whole)]
        return [*sizes[:-1], sizes[-1] - (sum(sizes) - outputs)]

    @cached_property
    def x(self) -> Range:
        """The inputs' proven bounds."""
        return self.job.ranges[self.layer.input.name]

    @cached_property
    def sparse(self) -> bool:
        """Whether inputs are tested for zero: they are never below it, and often it."""
        if self.x.low != 0:
            return False
        how = getattr(self.job.writer, "requantization", None)
        return self.layer.input.sparse or (how is not None and how.low == how.zero_point == 0)

    def write(self) -> None:
        """Write the layer."""
        job = self.job
        dump = job.scratch("dump", self.sizes[0] * self.plan.acc_bytes)
        self._write_stream()
        self.prepare()
        output = output_symbol(job)
        job.code.emit(point_z(job, job.label("stream")) + point("Y", output))
        done = 0
        for size, group in groupby(self.sizes):
            count = len(list(group))
            done += size * count
            end = f"{output} + {done * self.layer.output.dtype.size}"
            label = job.label(f"to{done}")
            job.at_most(label, count)
            self._write_blocks(label, size, dump, end if count > 1 else None)
        pack_outputs(job)
        self._write_finish(dump)

    def _write_stream(self) -> None:
        out, first = self.job.consts, 0
        out.emit(f"{self.job.label('stream')}:")
        for size in self.sizes:
            units = slice(first, first + size)
            out.data(".byte", self.encode(units))
            out.data(".byte", output_constants(self.plan, self.bias, units))
            first += size

    def _write_blocks(self, label: str, size: int, dump: str, end: str | None) -> None:
        """Blocks of one size, until outputs are written up to `end`; a single one without."""
        out = self.job.code
        out.emit(f"{label}:\n{'push  r28' if self.saves_y else ''}")
        out.emit("push  r29" if self.saves_y else "")
        out.emit(self.begin(size))
        self._walk(label, size)
        out.emit(point("X", dump) + self.store_sums(size))
        out.emit("pop   r29\npop   r28" if self.saves_y else "")
        out.emit(f"ldi   r24, {size}\n{call(self.job)} {self.job.label('outputs')}")
        if end is not None:
            out.emit(f"""
                    cpi   r28, lo8({end})
                    ldi   r22, hi8({end})
                    cpc   r29, r22
                    breq  {label}_done
                    rjmp  {label}
            {label}_done:
            """)

    def _walk(self, label: str, size: int) -> None:
        """All inputs, one after the other."""
        out, source = self.job.code, self.layer.input
        out.emit(point("X", tensor_symbol(source)))
        step = self.job.assembly()
        step.emit(f"{self.load_input()}\n{self.products(size)}")
        count = 1 if self.sparse else self.unrolled(step.size)
        if source.count % count:
            out.emit(f"rjmp  {label}_{count - source.count % count}")
        out.emit(f"{label}_mac:")
        times = self.job.limits[label]
        self.job.at_most(f"{label}_mac", times * -(-source.count // count))
        before = out.size
        for number in range(count):
            out.emit(f"{label}_{number}:" if number else "")
            out.emit(self.load_input())
            if self.sparse:
                self._skip(label, step.size)
            out.emit(self.products(size))
        self._repeat(label, "next", (out.size - before) // 2)
        if self.sparse:
            out.emit(f"rjmp  {label}_end")
            self._write_skip(label, size)
            self._repeat(label, "skipped", (out.size - before) // 2)
        out.emit(f"{label}_end:")

    def unrolled(self, size: int) -> int:
        """How often the code for one input, of that many bytes, is repeated."""
        room = len(self.layer.weights.ravel()) * self._bits // 8 // _CODE_SHARE
        versions = len(set(self.sizes))
        fitting = (n for n in _UNROLLED if n * size * versions <= room)
        return min(next(fitting, 1), self.layer.input.count)

    @property
    def _bits(self) -> int:
        """Bits that a weight takes in the stream, on average."""
        units = slice(0, self.sizes[0])
        return 8 * len(self.encode(units)) // (self.sizes[0] * self.layer.input.count)

    def _skip(self, label: str, size: int) -> None:
        """Leave for the skip where the input is zero."""
        self.job.code.emit(self.zero_test)
        if size // 2 < _NEAR - 8:
            self.job.code.emit(f"breq  {label}_zero")
            return
        self.job.code.emit(f"""
                brne  {label}_some
                rjmp  {label}_zero
        {label}_some:
        """)

    def _repeat(self, label: str, name: str, words: int) -> None:
        """Back to the walk's begin, so many words above, unless X is behind the last input."""
        out, source = self.job.code, self.layer.input
        end = f"{tensor_symbol(source)} + {source.size}"
        again, name = f"{label}_mac", f"{label}_{name}"
        out.emit(f"cpi   r26, lo8({end})")
        if source.size <= 256 and words < _NEAR:
            out.emit(f"brne  {again}")
        elif source.size <= 256:
            out.emit(f"breq  {name}_end\nrjmp  {again}\n{name}_end:")
        elif words < _NEAR:
            out.emit(f"brne  {again}\ncpi   r27, hi8({end})\nbrne  {again}")
        else:
            out.emit(f"""
                    breq  {name}_high
            {name}_back:
                    rjmp  {again}
            {name}_high:
                    cpi   r27, hi8({end})
                    brne  {name}_back
            """)

    def _write_skip(self, label: str, size: int) -> None:
        """Step over the weights of an input that is zero."""
        out = self.job.code
        taken = len(self.encode(slice(0, size))) // self.layer.input.count
        out.emit(f"{label}_zero:\nadiw  r30, {taken}")
        if self.job.far:
            out.emit(f"""
                    brcc  {label}_near
                    in    r0, {RAMPZ:#x}
                    inc   r0
                    out   {RAMPZ:#x}, r0
            {label}_near:
            """)

    def _write_finish(self, dump: str) -> None:
        """The subroutine that turns the r24 accumulators in `dump` into activations at Y."""
        label = self.job.label("outputs")
        out = self.job.subroutine(label)
        out.emit(point("X", dump))
        fetch = "\n".join(f"ld    r{ACC + byte}, X+" for byte in range(self.plan.acc_bytes))
        finish(self.job, out, label, self.plan, (fetch, "Y+"))
        out.emit("ret")


def stationary_layer(job: Job) -> tuple[Linear, RequantPlan]:
    """A job's layer and its requantization."""
    layer = job.node
    assert isinstance(layer, Linear)
    return layer, plan_requantization(layer, job.ranges[layer.input.name])
