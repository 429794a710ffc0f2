"""Linear with packed1 weights on AVR: output-stationary, an input added where the weight's bit is.

    sum(w * u) = 2 * sum over positive weights of u - sum(u)
Sums over positive weights are not negative, so they take no more bytes than their bound.

Cycles, for each byte of eight weights: 3, and for each of its outputs 2 for each byte of the sum.
There is no multiplication, so chips without MUL take as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kernels.avr.memory import load
from kernels.avr.offset_weights import OffsetWeights
from kernels.avr.stationary import stationary_layer
from kernels.emit import Job, emitter
from kernels.encodings import packed1
from kernels.ops.linear import Linear

_BITS = 20  # eight weights
_RESULT = 20  # behind the last input: the sum's lowest register


@emitter("avr", Linear, packed1.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register. Stack: one return address."""
    _Packed1(job, *stationary_layer(job), packed1).write()


@dataclass(frozen=True)
class _Packed1(OffsetWeights):
    """Sums in r2..r19, r20 eight weights, r24 and r25 the input, r23 zero."""

    @cached_property
    def width(self) -> int:
        """Bytes of a sum."""
        largest = (self.x.high + self.offset) * self.layer.input.count
        return min(self.plan.acc_bytes, max(-(-largest.bit_length() // 8), 1))

    outputs_in_byte = 8

    @property
    def outputs_in_registers(self) -> int:
        count = (_BITS - self.first) // self.width
        return count // 8 * 8 or count

    def accumulator(self, unit: int) -> list[int]:
        return list(range(self.first + unit * self.width, self.first + (unit + 1) * self.width))

    def begin(self, size: int) -> str:
        sums = range(self.first, self.first + size * self.width)
        return "\n".join(f"clr   r{r}" for r in [*sums, self.zero])

    def products(self, size: int) -> str:
        sources = [*self.inputs, *[self.zero] * self.width]
        lines = []
        for unit in range(size):
            if unit % 8 == 0:
                lines.append(load(self.job, f"r{_BITS}"))
            for byte, register in enumerate(self.accumulator(unit)):
                lines.append(f"sbrc  r{_BITS}, {unit % 8}")
                lines.append(f"{'adc' if byte else 'add'}   r{register}, r{sources[byte]}")
        return "\n".join(lines)

    def store_sums(self, size: int) -> str:
        """Doubled, less the sum of all inputs."""
        return "\n".join(self._store(self.accumulator(unit)) for unit in range(size))

    def _store(self, acc: list[int]) -> str:
        width, start = self.plan.acc_bytes, self.job.label("start")
        result = range(_RESULT, _RESULT + width)
        lines = [f"mov   r{to}, r{source}" for to, source in zip(result, acc, strict=False)]
        lines += [f"clr   r{register}" for register in result[len(acc) :]]
        lines += [f"{'lsl' if r == _RESULT else 'rol'}   r{r}" for r in result]
        for byte, register in enumerate(result):
            lines.append(f"lds   r24, {start} + {byte}")
            lines.append(f"{'adc' if byte else 'add'}   r{register}, r24")
        return "\n".join([*lines, *(f"st    X+, r{register}" for register in result)])
