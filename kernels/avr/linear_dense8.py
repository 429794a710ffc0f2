"""Linear with dense8 weights on AVR: output-stationary, a block of accumulators in registers.

Operands multiply unsigned: weights are stored as w + 128, signed inputs get an offset on loading.
    sum(w * x) = sum((w + 128) * u) - 128 * sum(u) - offset * sum(w),  u = x + offset
The middle term is summed once a layer and is where accumulators start; the last one is in the bias.
All sums are modulo 2**bits, so only the final accumulator has to fit, which is proven.

Registers: r2..r22 accumulators of a block, r23 zero, r24 (r25) the input, r0 the weight, X inputs,
Y outputs, Z the stream: per block its weights, then the constants of its outputs.

Cycles per product, with accumulators of B bytes: 5 + B for 8-bit inputs, 6 + 2 * B for 16-bit ones;
on top, for each input of each block, 5 or 6. Without MUL a product takes some 40 cycles more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np

from kernels.avr.memory import load, point, point_z, until
from kernels.avr.multiply import product
from kernels.avr.requantize import ACC, finish, output_constants
from kernels.blocks import blocks
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import dense8
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization

_FIRST = 2  # accumulators' first register
_REGISTERS = {1: 21, 2: 18}  # for accumulators, by bytes of an input; 16-bit inputs keep w in r20


@emitter("avr", Linear, dense8.NAME)
def emit(job: Job) -> None:
    """Write the layer: sum of inputs, then block by block products and requantization.

    Uses every register. Stack: one return address, and without MUL another.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    _Dense8(job, layer, plan_requantization(layer, job.ranges[layer.input.name])).write()


@dataclass(frozen=True)
class _Dense8:
    job: Job
    layer: Linear
    plan: RequantPlan

    @cached_property
    def offset(self) -> int:
        """What makes every input unsigned: 0 where it is already."""
        source = self.layer.input
        return 0 if self.job.ranges[source.name].low >= 0 else 1 << (source.dtype.bits - 1)

    @cached_property
    def sizes(self) -> list[int]:
        """Outputs of each block."""
        largest = _REGISTERS[self.layer.input.dtype.size] // self.plan.acc_bytes
        return blocks(len(self.layer.bias), largest)

    @property
    def input_end(self) -> str:
        return f"{tensor_symbol(self.layer.input)} + {self.layer.input.size}"

    def write(self) -> None:
        job, width = self.job, self.plan.acc_bytes
        start = job.scratch("start", width)
        dump = job.scratch("dump", self.sizes[0] * width)
        self._write_stream()
        self._sum_inputs(start)
        output = tensor_symbol(self.layer.output)
        job.code.emit(point_z(job, job.label("stream")) + point("Y", output))
        done = 0
        for size, group in groupby(self.sizes):
            done += size * len(list(group))
            label = job.label(f"to{done}")
            self._products(label, size, start)
            self._finish_products(label, size, done, dump)
        self._write_finish(dump)

    def _write_stream(self) -> None:
        layer, out = self.layer, self.job.consts
        sums = layer.weights.astype(np.int64).sum(axis=1)
        bias = layer.folded_bias - ((self.offset * sums) << layer.input_shift)
        out.emit(f"{self.job.label('stream')}:")
        first = 0
        for size in self.sizes:
            units = slice(first, first + size)
            out.data(".byte", dense8.encode(layer.weights[units]))
            out.data(".byte", output_constants(self.plan, bias, units))
            first += size

    def _load_input(self) -> str:
        """The next input, unsigned, in r24 (low) and r25."""
        size = self.layer.input.dtype.size
        lines = "ld    r24, X+                 ; x"
        if size == 2:
            lines += "\nld    r25, X+"
        if self.offset:
            lines += f"\nsubi  r{23 + size}, 0x80             ; to unsigned"
        return lines

    def _sum_inputs(self, start: str) -> None:
        """Store -128 * sum(u), where accumulators start."""
        out, label = self.job.code, self.job.label("sum")
        registers = range(_FIRST, _FIRST + self.plan.acc_bytes)
        sources = ["r24", "r25"][: self.layer.input.dtype.size]
        out.emit(point("X", tensor_symbol(self.layer.input)))
        out.emit("\n".join(f"clr   r{register}" for register in [*registers, 23]))
        out.emit(f"{label}:\n{self._load_input()}")
        for byte, register in enumerate(registers):
            source = sources[byte] if byte < len(sources) else "r23"
            out.emit(f"{'sbc' if byte else 'sub'}   r{register}, {source}")
        out.emit(until("X", self.input_end, label))
        double = "\n".join(f"{'rol' if r > _FIRST else 'lsl'}   r{r}" for r in registers)
        for _ in range(7):
            out.emit(double)
        for byte, register in enumerate(registers):
            out.emit(f"sts   {start} + {byte}, r{register}")

    def _products(self, label: str, size: int, start: str) -> None:
        """A block's accumulators, from their start to the sum of all products."""
        out, width = self.job.code, self.plan.acc_bytes
        out.emit(f"{label}:")
        for byte in range(width):
            out.emit(f"lds   r{_FIRST + byte}, {start} + {byte}")
        for register in range(_FIRST + width, _FIRST + width * size):
            out.emit(f"mov   r{register}, r{register - width}")
        out.emit("clr   r23" + point("X", tensor_symbol(self.layer.input)))
        before = out.size
        out.emit(f"{label}_mac:\n{self._load_input()}")
        for unit in range(size):
            out.emit(self._product(_FIRST + unit * width))
        out.emit(until("X", self.input_end, f"{label}_mac", out.size - before))

    def _product(self, acc: int) -> str:
        """One product into the accumulator that begins at register `acc`."""
        if self.layer.input.dtype.size == 1:
            times = product(self.job, "r0", "r24")
            return "\n".join([load(self.job, "r0"), times, *self._add(acc, 0)])
        low, high = product(self.job, "r20", "r24"), product(self.job, "r20", "r25")
        first = [load(self.job, "r20"), low, *self._add(acc, 0)]
        return "\n".join([*first, high, *self._add(acc, 1)])

    def _add(self, acc: int, at: int) -> list[str]:
        """Lines that add r1:r0 to an accumulator from byte `at` on."""
        width = self.plan.acc_bytes
        sources = ["r0", "r1", *["r23"] * width][: width - at]
        return [
            f"{'adc' if byte else 'add'}   r{acc + at + byte}, {source}"
            for byte, source in enumerate(sources)
        ]

    def _finish_products(self, label: str, size: int, done: int, dump: str) -> None:
        """Requantize a block; go on with blocks of its size until `done` outputs are written."""
        out, output = self.job.code, self.layer.output
        out.emit(point("X", dump))
        for register in range(_FIRST, _FIRST + self.plan.acc_bytes * size):
            out.emit(f"st    X+, r{register}")
        end = f"{tensor_symbol(output)} + {done * output.dtype.size}"
        call = "call " if "JMP" in self.job.target.features else "rcall"
        out.emit(f"""
                ldi   r24, {size}
                {call} {self.job.label("outputs")}
                cpi   r28, lo8({end})
                ldi   r22, hi8({end})
                cpc   r29, r22
                breq  {label}_done
                rjmp  {label}
        {label}_done:
        """)

    def _write_finish(self, dump: str) -> None:
        """The subroutine that turns the r24 accumulators in `dump` into activations at Y."""
        label = self.job.label("outputs")
        out = self.job.subroutine(label)
        out.emit(point("X", dump))
        fetch = "\n".join(f"ld    r{ACC + byte}, X+" for byte in range(self.plan.acc_bytes))
        finish(self.job, out, label, self.plan, (fetch, "Y+"))
        out.emit("ret")
