"""Active lists on AVR: of a tensor only what is not zero, as pairs of index and byte.

A value of several bytes goes into several lists, one for each byte. Of what is zero no byte is in
any, and no high byte that is zero, so the lists of high bytes are mostly empty. A list ends with
the number of inputs in place of an index. As that must fit a byte, more than 255 inputs are cut
into segments with lists of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.avr.memory import point
from kernels.avr.requantize import is_short
from kernels.blocks import blocks
from kernels.emit import Job, tensor_symbol
from kernels.forms import Form
from kernels.ir import Bounds, Node, Range
from kernels.ops.linear import Linear
from kernels.requant_plan import plan_requantization

SEGMENT = 255
_X = 16  # the input's lowest register
_UNROLL = 8


def _serves(writer: Node, reader: Node, ranges: Mapping[str, Range]) -> bool:
    """A ReLU leaves many zeros and nothing below; its writer finishes it in registers."""
    if not (isinstance(writer, Linear) and isinstance(reader, Linear)):
        return False
    how, count = writer.requantization, writer.output.count
    short = is_short(plan_requantization(writer, ranges[writer.input.name]))
    relu = how.low == how.zero_point == 0
    return short and relu and count <= SEGMENT and reader.input_shift == 0


ACTIVE = Form("active list", _serves)


def segments(count: int) -> list[int]:
    """How many inputs each segment has."""
    return blocks(count, SEGMENT)


def bytes_of(x: Range, input_shift: int, acc_bytes: int) -> int:
    """How many bytes of the inputs, times 2**input_shift, can matter to an accumulator."""
    if x.low < 0:
        return acc_bytes
    return min(acc_bytes, max(1, -(-(x.high << input_shift).bit_length() // 8)))


def list_of(symbol: str, count: int, x: Range, input_shift: int, acc_bytes: int) -> ActiveList:
    """The lists of `count` inputs; where the sum of all is bounded, they can be the shorter."""
    most = []
    for digit in range(bytes_of(x, input_shift, acc_bytes)):
        least = max(1, (1 << (8 * digit)) >> input_shift)  # the smallest input listed there
        total = x.total if isinstance(x, Bounds) and x.low >= 0 else None
        most.append(min(count, total.high // least) if total else count)
    return ActiveList(symbol, count, tuple(most))


@dataclass(frozen=True)
class ActiveList:
    """Where the lists of a tensor lie. count: inputs; most: pairs in the list of each byte."""

    symbol: str
    count: int
    most: tuple[int, ...]

    @property
    def digits(self) -> int:
        """Lists of each segment."""
        return len(self.most)

    @cached_property
    def sizes(self) -> list[int]:
        """Inputs of each segment; also what stands at the end of its lists."""
        return segments(self.count)

    @property
    def size(self) -> int:
        """Bytes of all lists; behind an end mark, one more byte is read."""
        return self._before(len(self.sizes), 0)

    def address(self, digit: int, segment: int) -> str:
        """The first byte of a list."""
        return f"{self.symbol} + {self._before(segment, digit)}"

    def most_of(self, digit: int, counts: NDArray[np.int64]) -> list[int]:
        """The most that the counts of a segment's inputs sum up to in a list, for each segment.

        counts: int64 (inputs,), of each input that is listed.
        """
        segments = np.split(counts, np.cumsum(self.sizes)[:-1])
        return [int(np.sort(own)[::-1][: self.most[digit]].sum()) for own in segments]

    def _before(self, segment: int, digit: int) -> int:
        """Bytes before a list; of the next segment's, if there is none."""
        lists = [(s, d) for s in range(len(self.sizes)) for d in range(self.digits)]
        own = [2 * min(self.most[d], self.sizes[s]) + 2 for s, d in lists]
        return sum(own[: segment * self.digits + digit])


def read_list(job: Job, acc_bytes: int, input_shift: int) -> ActiveList:
    """The input as a list: as it was written, or made here from the dense input, shifted left.

    Clobbers r0..r5, r16..r25, X, Y, Z; r1 is zero afterwards. Stack: a return address.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    source = layer.input
    x = job.ranges[source.name]
    if job.reads is ACTIVE:
        job.code.emit("clr   r1")
        return list_of(tensor_symbol(source), source.count, x, 0, source.dtype.size)
    size = list_of("", source.count, x, input_shift, acc_bytes).size
    found = list_of(job.scratch("active", size), source.count, x, input_shift, acc_bytes)
    _Scan(job, layer, found, input_shift).write()
    return found


@dataclass(frozen=True)
class _Scan:
    """Makes lists of a dense input.

    An inactive input takes 4 cycles where it has 8 bits, 8 where it has 16; 8 inputs take 3 more.
    """

    job: Job
    layer: Linear
    lists: ActiveList
    input_shift: int

    def write(self) -> None:
        out, take = self.job.code, self.job.label("take")
        out.emit("clr   r1" + point("X", tensor_symbol(self.layer.input)))
        out.emit(f"rjmp  {take}_end")
        self._write_take(take)
        out.emit(f"{take}_end:")
        for segment in range(len(self.lists.sizes)):
            self._segment(segment, take)

    def _segment(self, segment: int, take: str) -> None:
        out, count = self.job.code, self.lists.sizes[segment]
        first, size = sum(self.lists.sizes[:segment]), self.layer.input.dtype.size
        base = f"{tensor_symbol(self.layer.input)} + {(first + 1) * size}"
        out.emit(f"ldi   r20, lo8({base})           ; X behind input 0\nldi   r21, hi8({base})")
        for digit in range(self.lists.digits):
            self._point(digit, self.lists.address(digit, segment))
        loop = self.job.label(f"scan{segment}")
        if count >= _UNROLL:
            self.job.at_most(loop, count // _UNROLL)
            out.emit(f"ldi   r22, {count // _UNROLL}\n{loop}:")
            out.emit(self._test(take) * _UNROLL)
            out.emit(f"dec   r22\nbrne  {loop}")
        out.emit(self._test(take) * (count % _UNROLL))
        out.emit(f"ldi   r24, {count}               ; the end")
        for digit in range(self.lists.digits):
            self._store(digit, ["r24"])

    def _point(self, digit: int, address: str) -> None:
        if digit == 0:
            self.job.code.emit(point("Y", address))
            return
        self.job.code.emit(f"ldi   r30, lo8({address})\nldi   r31, hi8({address})")
        if digit == 1 and self.lists.digits > 2:
            self.job.code.emit("movw  r2, r30")  # Z is the third list's

    def _store(self, digit: int, registers: list[str]) -> None:
        """Append to a list; three lists share Y and Z."""
        lines = "\n".join(f"st    {'Z' if digit else 'Y'}+, {register}" for register in registers)
        if digit == 1 and self.lists.digits > 2:
            swap = "movw  r4, r30\nmovw  r30, r2\nmovw  r2, r4"
            lines = f"{swap}\n{lines}\n{swap}"
        self.job.code.emit(lines)

    def _test(self, take: str) -> str:
        if self.layer.input.dtype.size == 1:
            return f"""
                ld    r{_X}, X+
                cpse  r{_X}, r1
                rcall {take}
            """
        return f"""
                ld    r{_X}, X+
                ld    r{_X + 1}, X+
                mov   r0, r{_X}
                or    r0, r{_X + 1}
                cpse  r0, r1
                rcall {take}
        """

    def _write_take(self, take: str) -> None:
        """The subroutine that lists the input in r16, r17; X is behind it."""
        out, size = self.job.code, self.layer.input.dtype.size
        known = self.job.ranges[self.layer.input.name]
        self.job.at_most(take, known.reaching(1, self.lists.count))
        out.emit(f"{take}:")
        signed = self.job.ranges[self.layer.input.name].low < 0
        extend(out, _X, size, self.lists.digits, signed=signed)
        for _ in range(self.input_shift):
            for digit in range(self.lists.digits):
                out.emit(f"{'rol' if digit else 'lsl'}   r{_X + digit}")
        out.emit("mov   r23, r26\nsub   r23, r20")
        if size == 2:
            out.emit("mov   r25, r27\nsbc   r25, r21\nlsr   r25\nror   r23")
        for digit in range(self.lists.digits):
            skip = f"{take}_{digit}"
            out.emit(f"tst   r{_X + digit}\nbreq  {skip}")
            self._store(digit, ["r23", f"r{_X + digit}"])
            out.emit(f"{skip}:")
        out.emit("ret")


def extend(out: Assembly, value: int, size: int, wanted: int, *, signed: bool) -> None:
    """Extend a value to more bytes; the flags are lost."""
    for byte in range(size, wanted):
        out.emit(f"clr   r{value + byte}")
        if signed:
            out.emit(f"sbrc  r{value + size - 1}, 7\ncom   r{value + byte}")
