"""Linear as straight-line code on AVR: input-stationary, as many outputs as registers hold.

The inputs that are not zero are a list, walked once for each block of 13 outputs of 16 bits, or 8
of 24. An input's fragment adds it to the outputs and goes on to the next (`fragments`). Where a
bound on the sum of all inputs keeps sums of products within 256 values, they have 8 bits, and a
block is 26 outputs (`NarrowSums`). High bytes of inputs, if any is not zero, have lists of their
own, which are walked afterwards, with the sums set aside.

Registers: as `fragments`. Sums start at the biases, which are in the code. Where activations come
by a plain shift right, each is finished where its sum stands; otherwise sums go to SRAM first.

Cycles: for each block some 70, or 100 with 26 outputs; for each active input 8 a block, or 10 where
it is not hot, and for each of its nonzero weights as many as sums have bytes. Of an output in place
that goes into a list: 3 where it is below zero, some 12 to 20 otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.avr.active_list import ACTIVE, ActiveList, read_list, segments
from kernels.avr.fragments import PAGE, REGISTERS, Fragments
from kernels.avr.list_output import ListOutput
from kernels.avr.memory import point
from kernels.avr.narrow_sums import NarrowSums, narrow_sums
from kernels.avr.sums import finish_sums, list_sums
from kernels.blocks import blocks
from kernels.emit import Job, emitter, little_endian, tensor_symbol
from kernels.encodings import straight_line
from kernels.errors import Unsupported
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization

EIND = 0x3C
_UPPER = 16  # the first register that LDI reaches


@emitter("avr", Linear, straight_line.NAME, reads=(ACTIVE,), writes=(ACTIVE,), profile=("hot",))
def emit(job: Job) -> None:
    """Write the layer: its list of inputs, then block after block of outputs. Uses every register.

    Stack: a return address while the list is made.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    narrow = narrow_sums(job, layer, plan)
    _StraightLine(job, layer, plan if narrow else replace(plan, input_shift=0), narrow).write()


@dataclass(frozen=True)
class _StraightLine:
    """plan: its input_shift is 0 where lists hold inputs that are shifted already."""

    job: Job
    layer: Linear
    plan: RequantPlan
    narrow: NarrowSums | None

    @property
    def width(self) -> int:
        """Bytes of an accumulator."""
        return 1 if self.narrow else self.plan.acc_bytes

    @cached_property
    def blocks(self) -> list[tuple[int, list[Fragments]]]:
        """Of each block its outputs, and the code for each segment of inputs."""
        count = len(self.layer.bias)
        for most in range(len(REGISTERS) // self.width, 0, -1):
            sizes = blocks(count, most)
            firsts = np.cumsum([0, *sizes])
            found = [
                (s, list(self._fragments(int(f), s)))
                for f, s in zip(firsts[:-1], sizes, strict=True)
            ]
            if all(code.reaches for _, codes in found for code in codes):
                return found
        raise Unsupported(f"{self.layer.name}: too many inputs for jumps; use dense8")

    def _fragments(self, first: int, size: int) -> Iterator[Fragments]:
        weights = self.layer.weights[first : first + size]
        begin = 0
        for number, count in enumerate(segments(weights.shape[1])):
            inputs = range(begin, begin + count)
            yield Fragments(
                self.job.label(f"o{first}_s{number}"),
                straight_line.encode(weights[:, begin : begin + count]),
                frozenset(i - begin for i in self._hot if i in inputs),
                self.width,
                self.job.target.features,
            )
            begin += count

    @property
    def _hot(self) -> tuple[int, ...]:
        return self.job.choice.hot if self.job.choice else ()

    def write(self) -> None:
        for _, codes in self.blocks:
            for code in codes:
                self.job.share(code.name, code.write, PAGE, code=True, own=True)
        shift = self.layer.input_shift - self.plan.input_shift
        inputs = read_list(self.job, self.width, shift)
        output = self._output()
        output.begin()
        first = 0
        for size, codes in self.blocks:
            self._set(output.starts(first, size))
            self._block(first, inputs, codes)
            output.block(first, size)
            first += size
        output.end()

    def _output(self) -> Output:
        if self.narrow:
            return Narrow(self.job, self.plan, self.narrow)
        how, plan, relu = self.plan.how, self.plan, self.job.writes is ACTIVE
        plain = how.is_shift and how.round_bias == how.zero_point == 0 and how.shift < 8
        saturates = plan.clamp_high is not None or (plan.clamp_low is not None and not relu)
        if plain and not saturates and plan.output_bytes <= self.width:
            return InPlace(self.job, plan)
        return Sums(self.job, plan)

    def _block(self, first: int, inputs: ActiveList, codes: list[Fragments]) -> None:
        """What the inputs add to a block."""
        for segment, code in enumerate(codes):
            self._promise(inputs, code)
            self._walk(inputs.address(0, segment), code)
        for digit in range(1, inputs.digits):
            for segment, code in enumerate(codes):
                self._walk_high(first, inputs, (digit, segment), code)

    def _promise(self, inputs: ActiveList, code: Fragments) -> None:
        """Each list of the segment is walked once."""
        lengths = np.sort([len(fragment) for fragment in code.fragments])[::-1]
        most = [min(count, len(lengths)) for count in inputs.most]
        jumps, additions = sum(most) + len(most), sum(int(lengths[:n].sum()) for n in most)
        code.promise(self.job, jumps, additions)

    def _set(self, values: NDArray[np.int64]) -> None:
        """Constants into accumulators; the lower ones take theirs from another register."""
        wanted: dict[int, list[int]] = {}
        registers = iter(REGISTERS)
        for value in values.tolist():
            for byte in little_endian(value, self.width):
                wanted.setdefault(byte, []).append(next(registers))
        lines = [f"clr   r{register}" for register in wanted.pop(0, [])]
        for byte, targets in sorted(wanted.items()):
            upper = [register for register in targets if register >= _UPPER]
            lines += [f"ldi   r{register}, {byte}" for register in upper or [24]]
            lower = (register for register in targets if register < _UPPER)
            lines += [f"mov   r{register}, r{(upper or [24])[0]}" for register in lower]
        self.job.code.emit("\n".join(lines))

    def _walk(self, address: str, code: Fragments) -> None:
        """Add one byte of a segment's inputs."""
        out, target = self.job.code, self.job.target
        out.emit(point("X", address))
        if "EIJMP" in target.features:
            out.emit(f"ldi   r24, pm_hh8({code.table})\nout   {EIND:#x}, r24")
        out.emit(f"ldi   r31, pm_hi8({code.table})\nclr   r25\n{_call(self.job)} {code.entry}")

    def _walk_high(
        self, first: int, inputs: ActiveList, which: tuple[int, int], code: Fragments
    ) -> None:
        """Add a higher byte, if any input has one that is not zero."""
        digit, segment = which
        address, out = inputs.address(*which), self.job.code
        label = self.job.label(f"o{first}_d{digit}_s{segment}")
        out.emit(f"lds   r24, {address}\ncpi   r24, {inputs.sizes[segment]}\nbreq  {label}")
        out.emit(f"{_call(self.job)} {self._set_aside}")
        self._walk(address, code)
        out.emit(f"{_call(self.job)} {self._take_back(digit)}\n{label}:")

    @cached_property
    def _aside(self) -> str:
        return self.job.scratch("aside", len(self._registers))

    @cached_property
    def _registers(self) -> tuple[int, ...]:
        """Registers of the largest block."""
        return REGISTERS[: self.width * max(size for size, _ in self.blocks)]

    @cached_property
    def _set_aside(self) -> str:
        """The subroutine that stores all accumulators and clears them."""
        out = self.job.subroutine(self.job.label("set_aside"))
        out.emit(_point_z(self._aside))
        out.emit("\n".join(f"st    Z+, r{r}\nclr   r{r}" for r in self._registers))
        out.emit("ret")
        return self.job.label("set_aside")

    def _take_back(self, digit: int) -> str:
        """The subroutine that shifts accumulators up by bytes and adds what was stored."""
        label = self.job.label(f"take_back{digit}")
        if label in self.job.subroutines:
            return label
        out = self.job.subroutine(label)
        out.emit(_point_z(self._aside))
        for at in range(0, len(self._registers), self.width):
            own = self._registers[at : at + self.width]
            for low, high in reversed(list(zip(own, own[digit:], strict=False))):
                out.emit(f"mov   r{high}, r{low}")
            for byte, register in enumerate(own):
                add = "adc" if byte > digit else "add"
                if byte < digit:
                    out.emit(f"ld    r{register}, Z+")
                else:
                    out.emit(f"ld    r24, Z+\n{add}   r{register}, r24")
        out.emit("ret")
        return label


@dataclass(frozen=True)
class Output:
    """How a layer's sums become activations."""

    job: Job
    plan: RequantPlan

    def starts(self, first: int, size: int) -> NDArray[np.int64]:
        """Where the sums of a block start: at the biases."""
        layer = self.job.node
        assert isinstance(layer, Linear)
        return layer.folded_bias[first : first + size]

    def begin(self) -> None:
        """Before the first block."""

    def block(self, first: int, size: int) -> None:
        """Behind each block, whose sums are in registers."""
        raise NotImplementedError

    def end(self) -> None:
        """Behind the last block."""


@dataclass(frozen=True)
class InPlace(Output):
    """Activations are sums shifted right: in registers, one after the other.

    Where a list is written, X is its pointer, and kept in SRAM between blocks.
    """

    def begin(self) -> None:
        """Empty lists."""
        if self.job.writes is ACTIVE:
            self.lists.begin()

    @cached_property
    def lists(self) -> ListOutput:
        """The output's lists."""
        return ListOutput(self.job, "X")

    def block(self, first: int, size: int) -> None:
        """The activations of a block."""
        if self.job.writes is ACTIVE:
            self.lists.resume()
        else:
            output = self.job.node.output
            self.job.code.emit(point("X", f"{tensor_symbol(output)} + {first * output.dtype.size}"))
        width = self.plan.acc_bytes
        for unit in range(size):
            self._unit(first + unit, REGISTERS[unit * width : (unit + 1) * width])
        if self.job.writes is ACTIVE:
            self.lists.pause()

    def _unit(self, number: int, acc: tuple[int, ...]) -> None:
        out, shift = self.job.code, self.plan.how.shift
        skip = self.job.label(f"u{number}")
        *rest, top = acc
        relu = self.job.writes is ACTIVE
        if relu:
            out.emit(f"tst   r{top}\nbrmi  {skip}")
        step = [f"asr   r{top}", *(f"ror   r{register}" for register in reversed(rest))]
        out.emit("\n".join(step * shift))
        if relu:
            test = "" if shift else f"tst   r{acc[0]}\n"  # shifts leave the flag
            zero = f"{test}breq  {skip}_next"
            self.lists.put_constant(out, skip, acc, number, unless=zero)
            out.emit(f"{skip}:")
        else:
            for register in acc[: self.plan.output_bytes]:
                out.emit(f"st    X+, r{register}")

    def end(self) -> None:
        """Close the lists."""
        if self.job.writes is ACTIVE:
            self.lists.end()


@dataclass(frozen=True)
class Narrow(InPlace):
    """Activations are narrow sums shifted left, with what the bias leaves. r24 is the middle."""

    sums: NarrowSums

    def starts(self, first: int, size: int) -> NDArray[np.int64]:
        """Biases in units of a whole input."""
        return self.sums.starts[first : first + size]

    def block(self, first: int, size: int) -> None:
        """The activations of a block."""
        self.lists.resume()
        self.job.code.emit(f"ldi   r24, {self.sums.middle}")
        for unit in range(size):
            self._narrow_unit(first + unit, REGISTERS[unit])
        self.lists.pause()

    def _narrow_unit(self, number: int, acc: int) -> None:
        out, how = self.job.code, self.plan.how
        skip = self.job.label(f"u{number}")
        rest = int(self.sums.rests[number]) >> how.shift
        out.emit(f"sub   r{acc}, r24\nbrlo  {skip}")
        if not rest:
            out.emit(f"breq  {skip}")
        out.emit("clr   r25")
        double = f"lsl   r{acc}\nrol   r25\n"
        out.emit(double * (self.plan.input_shift - how.shift))
        if rest:
            out.emit(f"ldi   r24, {rest}\nor    r{acc}, r24")
        self.lists.put_constant(out, f"{skip}_put", (acc, 25), number, unless="")
        out.emit(f"{skip}_put:\nldi   r24, {self.sums.middle}\n{skip}:")


@dataclass(frozen=True)
class Sums(Output):
    """Activations come from sums in SRAM, at the end of the layer."""

    def starts(self, first: int, size: int) -> NDArray[np.int64]:
        """Biases, or zeros where these are added at the end."""
        biases = super().starts(first, size)
        return biases if self.job.writes is ACTIVE else np.zeros_like(biases)

    @cached_property
    def symbol(self) -> str:
        """Where the sums are kept."""
        return self.job.scratch("sums", self.plan.acc_bytes * self.job.node.output.count)

    def block(self, first: int, size: int) -> None:
        """Keep the sums of a block."""
        width, out = self.plan.acc_bytes, self.job.code
        out.emit(point("X", f"{self.symbol} + {first * width}"))
        out.emit("\n".join(f"st    X+, r{register}" for register in REGISTERS[: width * size]))

    def end(self) -> None:
        """Requantize all."""
        if self.job.writes is ACTIVE:
            list_sums(self.job, self.plan, self.symbol)
        else:
            finish_sums(self.job, self.plan, self.symbol)


def _call(job: Job) -> str:
    return "call " if "JMP" in job.target.features else "rcall"


def _point_z(symbol: str) -> str:
    return f"ldi   r30, lo8({symbol})\nldi   r31, hi8({symbol})"
