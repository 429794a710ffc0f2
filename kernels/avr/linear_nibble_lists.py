"""Linear with nibble lists on AVR: input-stationary, accumulators in SRAM, one page for each byte.

The inputs that are not zero are a list; `columns` adds the column of each. Where a bound on the sum
of all inputs keeps sums of products within 256 values, `narrow_lists` serves instead.

The pages are first copied from flash, with biases, dummies and sentinels. At the end the sums are
requantized in order; the ones below zero are left out where a list is written.

Cycles besides `columns`, for each output: 6 for each of its bytes at the start; at the end what its
requantization takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.avr.active_list import ACTIVE, ActiveList, read_list
from kernels.avr.columns import columns
from kernels.avr.list_output import ListOutput
from kernels.avr.memory import load, point, point_z
from kernels.avr.narrow_lists import NarrowLists, frame_of
from kernels.avr.narrow_sums import narrow_sums
from kernels.avr.requantize import ACC, finish, output_constants, requantize
from kernels.blocks import blocks
from kernels.emit import Job, emitter, little_endian, tensor_symbol
from kernels.encodings import nibble_lists
from kernels.encodings.nibble_lists import OUTPUTS, SENTINELS, Column, slot_of, slots
from kernels.errors import Unsupported
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization

_UNROLL = 4
MIDDLE = 128  # half way up the low byte, where sums of both signs seldom carry
_FULL = bytes([0xFF, 0])  # sentinels: any addition carries, any subtraction borrows


@emitter("avr", Linear, nibble_lists.NAME, reads=(ACTIVE,), writes=(ACTIVE,), profile=("hot",))
def emit(job: Job) -> None:
    """Write the layer, block after block of at most 237 outputs. Uses every register.

    Stack: a return address, and while a list of inputs is made or written no more.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    x = job.ranges[layer.input.name]
    plan = plan_requantization(layer, x)
    frame = frame_of(layer, plan, x, narrow_sums(job, layer, plan))
    sizes = blocks(len(layer.bias), nibble_lists.BLOCK)
    width = 1 if frame else plan.acc_bytes
    pages = job.scratch("acc", 256 * (width - 1) + slots(sizes[0]) + SENTINELS, 256)
    ends = np.cumsum([0, *sizes]).tolist()
    parts = [(n, range(*ends[n : n + 2])) for n in range(len(sizes))]
    if frame:
        _write(job, [NarrowLists(job, layer, plan, frame, n, part, pages) for n, part in parts])
        return
    inputs = read_list(job, width, layer.input_shift)
    plan = replace(plan, input_shift=0)  # lists hold inputs that are shifted already
    _write(job, [_Block(job, layer, plan, inputs, n, part, pages) for n, part in parts])


def _write(job: Job, parts: Sequence[_Block] | Sequence[NarrowLists]) -> None:
    """Blocks of outputs, one after the other, with one output."""
    lists = ListOutput(job) if job.writes is ACTIVE else None
    for block in parts:
        block.sums()
        if lists and block.number:
            lists.resume()
        elif lists:
            lists.begin()
        block.finish(lists)
        if lists and block is not parts[-1]:
            lists.pause()
    if lists:
        lists.end()


@dataclass(frozen=True)
class _Block:
    """One block of outputs. pages: symbol of the first page."""

    job: Job
    layer: Linear
    plan: RequantPlan
    inputs: ActiveList
    number: int
    outputs: range
    pages: str

    def label(self, name: str) -> str:
        """A symbol of this block's own."""
        return self.job.label(f"b{self.number}_{name}")

    @property
    def width(self) -> int:
        """Pages."""
        return self.plan.acc_bytes

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where sums start: at the biases, unless these are added at the end."""
        units = slice(self.outputs.start, self.outputs.stop)
        biases = self.layer.folded_bias[units] + MIDDLE
        return biases if self.job.writes is ACTIVE else np.full_like(biases, MIDDLE)

    def sums(self) -> None:
        """Write constants and the code that leaves the block's sums in the pages."""
        inputs = self.inputs
        self._write_constants()
        self._copy_image()
        out, job = self.job.code, self.job
        self._point_registers(("r20", "r21", "r7"), self.label("columns"))
        self._point_registers(("r4", "r5", "r6"), self.label("lists"))
        out.emit(f"ldi   r23, {slots(len(self.outputs))}")
        call = "call " if "JMP" in job.target.features else "rcall"
        before = 0
        for segment, size in enumerate(inputs.sizes):
            if before:
                self._point_registers(
                    ("r20", "r21", "r7"), f"{self.label('columns')} + {2 * before}"
                )
            out.emit(f"ldi   r22, {size}")
            for digit in range(inputs.digits):
                out.emit(point("X", inputs.address(digit, segment)))
                out.emit(f"ldi   r29, hi8({self.pages} + {256 * digit})")
                most = [inputs.most_of(digit, counts)[segment] for counts in self._counts]
                out.emit(f"{call} {columns(job, self.width - 1 - digit, *most)}")
            before += size

    def _point_registers(self, registers: tuple[str, str, str], symbol: str) -> None:
        out = self.job.code
        for register, part in zip(registers, ("lo8", "hi8", "hh8"), strict=True):
            if part != "hh8" or self.job.far:
                out.emit(f"ldi   r24, {part}({symbol})\nmov   {register}, r24")

    def _write_constants(self) -> None:
        """The table of columns holds offsets, odd ones where a column's lists are of bytes."""
        out = self.job.consts
        data: list[int] = []
        offsets = []
        for column in self._encoded:
            data += [0] * (len(data) % 2 != column.hot)
            offsets.append(len(data))
            data += column.data.tolist()
        if len(data) > 0xFFFF:
            raise Unsupported(
                f"{self.layer.name}: lists of {len(data):,} bytes, 65,535 at most; use dense8"
            )
        out.emit(f"{self.label('columns')}:")
        out.data(".byte", [b for o in offsets for b in little_endian(o, 2)])
        out.emit(f"{self.label('lists')}:")
        out.data(".byte", data)
        out.emit(f"{self.label('image')}:")
        for byte in range(self.width):
            out.data(".byte", self._image(byte))
        if not self.job.writes:
            units = slice(self.outputs.start, self.outputs.stop)
            out.emit(f"{self.label('outputs')}:")
            biases = self.layer.folded_bias - MIDDLE
            out.data(".byte", output_constants(self.plan, biases, units))

    @cached_property
    def _encoded(self) -> list[Column]:
        """Every input's lists."""
        weights = self.layer.weights[self.outputs.start : self.outputs.stop]
        hot = frozenset(self.job.choice.hot if self.job.choice else ())
        return list(nibble_lists.encode(weights, hot))

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """Of each input's column: one, its slots in lists of nibbles, and of bytes, (3, inputs)."""
        found = [
            (1, 0 if column.hot else 2 * len(column.data), len(column.data) * column.hot)
            for column in self._encoded
        ]
        return np.array(found, np.int64).T

    def _image(self, byte: int) -> list[int]:
        """A page's first contents."""
        image = [0] * slots(len(self.outputs))
        for unit, value in enumerate(self.starts.tolist()):
            image[slot_of(unit)] = little_endian(value, self.width)[byte]
        return [*image, *_FULL]

    def _copy_image(self) -> None:
        out, size = self.job.code, slots(len(self.outputs)) + SENTINELS
        out.emit(point_z(self.job, self.label("image")))
        copy = f"{load(self.job, 'r0')}\nst    Y+, r0\n"
        for byte in range(self.width):
            loop = self.label(f"copy{byte}")
            out.emit(point("Y", f"{self.pages} + {256 * byte}"))
            if size >= _UNROLL:
                self.job.at_most(loop, size // _UNROLL)
                out.emit(f"ldi   r24, {size // _UNROLL}\n{loop}:\n{copy * _UNROLL}")
                out.emit(f"dec   r24\nbrne  {loop}")
            out.emit(copy * (size % _UNROLL))

    def finish(self, lists: ListOutput | None) -> None:
        """Sums to activations."""
        if lists:
            self._finish_list(lists)
        else:
            self._finish_dense()

    def _finish_dense(self) -> None:
        out, output = self.job.code, self.layer.output
        target = f"{tensor_symbol(output)} + {self.outputs.start * output.dtype.size}"
        out.emit(point_z(self.job, self.label("outputs")) + point("X", target))
        out.emit(f"clr   r28\nldi   r24, {len(self.outputs)}\nldi   r25, {OUTPUTS}\nmov   r2, r25")
        prefix = self.label("out")
        fetch = self._fetch("Y", 28)
        finish(self.job, out, prefix, self.plan, (fetch, "X+"))

    def _fetch(self, pointer: str, low: int) -> str:
        """Lines that load a sum and step over dummies, counting outputs of a group in r2."""
        lines = [
            f"ldi   r{low + 1}, hi8({self.pages} + {256 * byte})\nld    r{ACC + byte}, {pointer}"
            for byte in range(self.width)
        ]
        skip = self.label("slot")
        return "\n".join(
            [
                *lines,
                f"inc   r{low}\ndec   r2\nbrne  {skip}",
                f"ldi   r25, {OUTPUTS}\nmov   r2, r25\ninc   r{low}\n{skip}:",
            ]
        )

    def _finish_list(self, lists: ListOutput) -> None:
        """Wider sums, to a list: one output after the other."""
        out, loop = self.job.code, self.label("list")
        self.job.at_most(loop, len(self.outputs))
        out.emit(f"ldi   r17, {self.outputs.start}\nclr   r30")
        out.emit(f"ldi   r25, {OUTPUTS}\nmov   r2, r25\n{loop}:")
        out.emit(self._fetch("Z", 30))
        out.emit(f"subi  r{ACC}, {MIDDLE}")
        out.emit("\n".join(f"sbci  r{ACC + byte}, 0" for byte in range(1, self.width)))
        out.emit(f"brmi  {loop}_zero")
        plan = replace(self.plan, clamp_low=None)
        value = requantize(self.job, out, loop, plan)
        lists.put(out, loop, value, "r17")
        out.emit(f"{loop}_zero:\ninc   r17\ncpi   r17, {self.outputs.stop}")
        out.emit(f"breq  {loop}_done\nrjmp  {loop}\n{loop}_done:")
