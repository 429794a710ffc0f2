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

import numpy as np
from numpy.typing import NDArray

from kernels.avr.memory import load
from kernels.avr.offset_weights import OffsetWeights, Unpacked, add
from kernels.avr.stationary import Stationary, stationary_layer
from kernels.emit import Job, emitter
from kernels.encodings import dense8
from kernels.ops.linear import Linear

SIGNED_ACCUMULATORS = (*range(2, 16), *range(18, 26))


@emitter("avr", Linear, dense8.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer: sum of inputs, then block by block products and requantization.

    Uses every register. Stack: one return address; for wide accumulators of 8-bit inputs two bytes,
    too, but not at the same time; without MUL another return address.
    """
    layer, plan = stationary_layer(job)
    if layer.input.dtype.size == 2 or "MUL" not in job.target.features:
        Unpacked(job, layer, plan, dense8).write()
    elif plan.acc_bytes == 2:
        _Signed(job, layer, plan).write()
    else:
        _Unsigned(job, layer, plan, dense8).write()


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
class _Unsigned(OffsetWeights):
    """Inputs of 8 bits: accumulators in r2..r25, r0 the weight, r28 the input, r29 zero."""

    zero = 29
    saves_y = True

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
            {add(self.accumulator(unit), self.zero)}
            """
            for unit in range(size)
        )
