"""Linear with dense8 weights on AVR: output-stationary, a block of accumulators in registers.

Three ways, by what is proven:

- Inputs of 8 bits and accumulators of 16: weights are stored as they are and multiply signed. The
  sum of products is taken modulo 2**16, so nothing has to be corrected. 7 cycles a product.
- Wider accumulators: signed products would have to be sign-extended, so both operands multiply
  unsigned: weights are stored as w + 128, signed inputs get an offset on loading,
      sum(w * x) = sum((w + 128) * u) - 128 * sum(u) - offset * sum(w),  u = x + offset
  The middle term is summed once a layer and is where accumulators start; the last one is in the
  bias. All is modulo 2**bits. With accumulators of B bytes 5 + B cycles a product.
- Inputs of 16 bits, and chips without MUL: the same, 6 + 2 * B cycles a product for 16-bit inputs;
  without MUL a product takes some 40 cycles more.

On top, for each input of each block, loading it (2 cycles a byte, 1 more for an offset) and the
walk (see `kernels.avr.stationary`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.avr.memory import load
from kernels.avr.multiply import product
from kernels.avr.stationary import Stationary, stationary_layer
from kernels.avr.sum_inputs import sum_inputs
from kernels.emit import Job, emitter
from kernels.encodings import dense8
from kernels.ops.linear import Linear

SIGNED_ACCUMULATORS = (*range(2, 16), *range(18, 26))


@emitter("avr", Linear, dense8.NAME)
def emit(job: Job) -> None:
    """Write the layer: sum of inputs, then block by block products and requantization.

    Uses every register. Stack: one return address; for wide accumulators of 8-bit inputs two bytes,
    too, but not at the same time; without MUL another return address.
    """
    layer, plan = stationary_layer(job)
    kind: type[Stationary] = _Plain
    if layer.input.dtype.size == 1 and "MUL" in job.target.features:
        kind = _Signed if plan.acc_bytes == 2 else _Unsigned
    kind(job, layer, plan).write()


@dataclass(frozen=True)
class _Signed(Stationary):
    """16-bit accumulators in r2..r15 and r18..r25, r16 the weight, r17 the input."""

    outputs_in_registers = len(SIGNED_ACCUMULATORS) // 2
    zero_test = "tst   r17"

    def encode(self, units: slice) -> NDArray[np.uint8]:
        return dense8.encode(self.layer.weights[units], offset=0)

    def accumulator(self, unit: int) -> list[int]:
        return list(SIGNED_ACCUMULATORS[2 * unit : 2 * unit + 2])

    def begin(self, size: int) -> str:
        return "\n".join(f"clr   r{r}" for r in SIGNED_ACCUMULATORS[: 2 * size])

    def load_input(self) -> str:
        return "ld    r17, X+                 ; x"

    def products(self, size: int) -> str:
        multiply = "muls " if self.x.low < 0 else "mulsu"
        return "\n".join(
            f"""
            {load(self.job, "r16")}            ; w
            {multiply} r16, r17
            add   r{low}, r0
            adc   r{high}, r1
            """
            for low, high in map(self.accumulator, range(size))
        )


@dataclass(frozen=True)
class _Offset(Stationary):
    """Weights and inputs with an offset that makes them unsigned; both come off again."""

    first = 2  # accumulators' first register
    zero = 23

    @property
    def inputs(self) -> tuple[int, ...]:
        """Registers of an input, the lowest byte first."""
        raise NotImplementedError

    @cached_property
    def offset(self) -> int:
        """What makes every input unsigned: 0 where it is already."""
        return 0 if self.x.low >= 0 else 1 << (self.layer.input.dtype.bits - 1)

    @property
    def bias(self) -> NDArray[np.int64]:
        sums = self.layer.weights.astype(np.int64).sum(axis=1)
        bias: NDArray[np.int64] = self.layer.folded_bias - (
            (self.offset * sums) << self.layer.input_shift
        )
        return bias

    def encode(self, units: slice) -> NDArray[np.uint8]:
        return dense8.encode(self.layer.weights[units])

    def accumulator(self, unit: int) -> list[int]:
        width = self.plan.acc_bytes
        return list(range(self.first + unit * width, self.first + (unit + 1) * width))

    def prepare(self) -> None:
        """Leave -128 * sum(u), where accumulators start, in SRAM."""
        start = self.job.scratch("start", self.plan.acc_bytes)
        sum_inputs(
            self.job,
            self.layer.input,
            self.x,
            self.plan.acc_bytes,
            start,
            shift=7,
            offset=self.offset,
        )

    def begin(self, size: int) -> str:
        width, start = self.plan.acc_bytes, self.job.label("start")
        lines = [f"lds   r{self.first + byte}, {start} + {byte}" for byte in range(width)]
        rest = range(self.first + width, self.first + width * size)
        lines += [f"mov   r{register}, r{register - width}" for register in rest]
        return "\n".join([*lines, f"clr   r{self.zero}"])

    def load_input(self) -> str:
        lines = [f"ld    r{register}, X+                 ; x" for register in self.inputs]
        if self.offset:
            lines.append(f"subi  r{self.inputs[-1]}, 0x80             ; to unsigned")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Unsigned(_Offset):
    """Inputs of 8 bits: accumulators in r2..r25, r0 the weight, r28 the input, r29 zero."""

    zero = 29
    saves_y = True
    zero_test = "tst   r28"

    @property
    def inputs(self) -> tuple[int, ...]:
        return (28,)

    @property
    def outputs_in_registers(self) -> int:
        return 24 // self.plan.acc_bytes

    def products(self, size: int) -> str:
        return "\n".join(
            f"""
            {load(self.job, "r0")}             ; w + 128
            mul   r0, r28
            {_add(self.accumulator(unit), self.zero)}
            """
            for unit in range(size)
        )


@dataclass(frozen=True)
class _Plain(_Offset):
    """Any input, with or without MUL: accumulators in r2..r22, r23 zero, r24 and r25 the input.

    16-bit inputs meet a weight twice, so it is kept in r20, and accumulators end at r19.
    """

    @property
    def inputs(self) -> tuple[int, ...]:
        return (24, 25)[: self.layer.input.dtype.size]

    @property
    def outputs_in_registers(self) -> int:
        return (21 if self.layer.input.dtype.size == 1 else 18) // self.plan.acc_bytes

    @property
    def zero_test(self) -> str:
        return "tst   r24" if len(self.inputs) == 1 else "mov   r0, r24\nor    r0, r25"

    def products(self, size: int) -> str:
        return "\n".join(self._product(self.accumulator(unit)) for unit in range(size))

    def _product(self, acc: list[int]) -> str:
        if len(self.inputs) == 1:
            times = product(self.job, "r0", "r24")
            return f"{load(self.job, 'r0')}\n{times}\n{_add(acc, self.zero)}"
        low, high = product(self.job, "r20", "r24"), product(self.job, "r20", "r25")
        return f"""
            {load(self.job, "r20")}
            {low}
            {_add(acc, self.zero)}
            {high}
            {_add(acc[1:], self.zero)}
        """


def _add(acc: list[int], zero: int) -> str:
    """Lines that add r1:r0 to an accumulator's registers."""
    sources = (["r0", "r1"] + [f"r{zero}"] * len(acc))[: len(acc)]
    return "\n".join(
        f"{'adc' if byte else 'add'}   r{register}, {source}"
        for byte, (register, source) in enumerate(zip(acc, sources, strict=True))
    )
