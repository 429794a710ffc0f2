"""Lists of a column's outputs on AVR where sums have 8 bits: input-stationary, without any carry.

A bound on the sum of all inputs keeps sums of products within 256 values. Each sum starts where it
never leaves 0..255, so nothing but a list's sentinel carries, and that carry is the list's end. The
dense inputs are scanned; what is not zero calls the code that walks both lists of its column.

In flash: where each column begins; the columns, of which one of bytes begins with a mark that no
list of nibbles begins with; and where outputs differ, their starts, and what is taken from them at
the end.

Registers: X the inputs, r16 the input, r29 the page of sums, r28 a sum's slot, Z the column, r2
zero, r17 the multiplier that shifts, r22 a count. Behind that Z the sums, r20 the first that is
active, r16 one more than the groups that are done. Clobbers r0..r3, r16..r25, X, Y, Z. Stack: a
return address.

Cycles: a slot at the start 2, where they differ 5, and 3 for each 8. An input that is zero 4, and 3
for each 8; an active one 45, 4 less if its column has bytes, 8 more where far; an output of a list
of nibbles 10, of bytes 9, and 2 for each 8; a dummy as an output. At the end an output that is not
active 4, and a group of 14 of them 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.avr.list_output import ListOutput
from kernels.avr.memory import RAMPZ, load, point, point_z
from kernels.avr.narrow_sums import NarrowSums
from kernels.emit import Job, tensor_symbol
from kernels.encodings import nibble_lists
from kernels.encodings.nibble_lists import OUTPUTS, SENTINELS, Column, slot_of, slots
from kernels.ir import Bounds, Range
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan

_INPUTS, _NIBBLES, _BYTES, _SLOTS = 8, 4, 8, 8  # how often each loop is unrolled
_MARK = nibble_lists.MARK
_FULL = (0xFF, 0)  # sentinels: any addition carries, any subtraction borrows


@dataclass(frozen=True, eq=False)
class Frame:
    """Where sums start, int64 (out,), and what becomes of them.

    A sum of at least `first` is active: (sum - base) * 2**(input's shift - output's) - less, where
    less is int64 (out,). dummy: where dummies start.
    """

    starts: NDArray[np.int64]
    first: int
    base: int
    less: NDArray[np.int64]
    dummy: int


def frame_of(layer: Linear, plan: RequantPlan, x: Range, narrow: NarrowSums | None) -> Frame | None:
    """The frame of narrow sums; None if dummies, which all columns may meet, would need more bits.

    Where biases are so small that no output is active without an input, all sums start alike.
    """
    total = x.total if isinstance(x, Bounds) else None
    added = total.high if total else int(x.elements(layer.input.count)[1].sum())
    if narrow is None or 2 * added > 255 or layer.input.dtype.size > 1:
        return None
    bias, one, shift = layer.folded_bias, 1 << layer.input_shift, plan.how.shift
    low, high = ((end - bias) >> layer.input_shift for end in layer.accumulator_bounds(x))
    start = max(added, -int(low.min()))
    if -one < bias.min() and bias.max() < 1 << shift and start + max(added, high.max()) <= 255:
        return Frame(np.full_like(bias, start), start + 1, start, -(bias >> shift), start)
    if narrow.middle == 0:
        return None
    less = (one - narrow.rests + (1 << shift) - 1) >> shift
    return Frame(narrow.starts, narrow.middle, narrow.middle - 1, less, added)


@dataclass(frozen=True, eq=False)
class NarrowLists:
    """One block of outputs. page: symbol of the page of sums."""

    job: Job
    layer: Linear
    plan: RequantPlan
    frame: Frame
    number: int
    outputs: range
    page: str

    def label(self, name: str) -> str:
        """A symbol of this block's own."""
        return self.job.label(f"b{self.number}_{name}")

    def sums(self) -> None:
        """Write constants and the code that leaves the block's sums in the page."""
        self._write_columns()
        self._start()
        self._scan()
        self._column()
        self.job.code.emit(f"{self.label('scanned')}:")

    @property
    def _units(self) -> slice:
        return slice(self.outputs.start, self.outputs.stop)

    @cached_property
    def _columns(self) -> list[Column]:
        hot = frozenset(self.job.choice.hot if self.job.choice else ())
        return nibble_lists.encode(self.layer.weights[self._units], hot)

    def _write_columns(self) -> None:
        """Near, the table of columns holds addresses; far, offsets from the first column."""
        out, lists = self.job.consts, self.label("lists")
        data = [[_MARK] * column.hot + column.data.tolist() for column in self._columns]
        offsets = np.cumsum([0, *map(len, data)])[:-1].tolist()
        out.emit(f"{self.label('columns')}:")
        if self.job.far:
            out.data(".word", offsets)
            out.emit(f"{lists}:")
            out.data(".byte", [byte for column in data for byte in column])
            return
        out.emit("\n".join(f".word {lists}{number}" for number in range(len(data))))
        for number, column in enumerate(data):
            place = self.job.anywhere()
            place.emit(f"{lists}{number}:")
            place.data(".byte", column)

    def _start(self) -> None:
        """All slots, and the sentinels behind them."""
        out, starts = self.job.code, self.frame.starts[self._units]
        size = slots(len(starts))
        out.emit(f"clr   r2\n{point('Y', self.page)}")
        if (starts == self.frame.dummy).all():
            out.emit(f"ldi   r24, {self.frame.dummy}")
            self._repeat("fill", "st    Y+, r24\n", size)
            out.emit(f"ldi   r24, {_FULL[0]}\nst    Y+, r24\nst    Y+, r2")
            return
        image = [self.frame.dummy] * size
        for unit, start in enumerate(starts.tolist()):
            image[slot_of(unit)] = start
        self.job.consts.emit(f"{self.label('image')}:")
        self.job.consts.data(".byte", [*image, *_FULL])
        out.emit(point_z(self.job, self.label("image")))
        self._repeat("copy", f"{load(self.job, 'r0')}\nst    Y+, r0\n", size + SENTINELS)

    def _repeat(self, name: str, lines: str, count: int) -> None:
        out, loop, turns = self.job.code, self.label(name), count // _SLOTS
        if turns:
            self.job.at_most(loop, turns)
            out.emit(f"ldi   r22, {turns}\n{loop}:\n{lines * _SLOTS}\ndec   r22\nbrne  {loop}")
        out.emit(lines * (count % _SLOTS))

    def _scan(self) -> None:
        """Call the code of each active input's column."""
        out, loop, count = self.job.code, self.label("scan"), self.layer.input.count
        out.emit(point("X", tensor_symbol(self.layer.input)))
        out.emit(f"ldi   r29, hi8({self.page})\nldi   r17, 16")
        test = f"ld    r16, X+\ncpse  r16, r2\nrcall {self.label('column')}\n"
        turns, rest = divmod(count, _INPUTS)
        while turns:
            own = min(turns, 256)
            self.job.at_most(f"{loop}{turns}", own)
            out.emit(f"ldi   r22, {own % 256}\n{loop}{turns}:\n{test * _INPUTS}")
            out.emit(f"dec   r22\nbrne  {loop}{turns}")
            turns -= own
        out.emit(test * rest)
        out.emit(f"rjmp  {self.label('scanned')}")

    def _column(self) -> None:
        """The subroutine that adds the input in r16, X behind it."""
        out, name = self.job.code, self.label("column")
        self._promise(name)
        out.emit(f"{name}:\nmovw  r30, r26\nlsl   r30\nrol   r31")
        self._find()
        out.emit(f"{load(self.job, 'r18')}            ; the first outputs, or a mark")
        out.emit(f"cpi   r18, {_MARK}\nbrne  .+2\nrjmp  {name}_bytes")
        self._nibbles("add")
        out.emit(load(self.job, "r18"))
        self._nibbles("sub")
        out.emit(f"ret\n{name}_bytes:")
        self._bytes("add")
        self._bytes("sub")
        out.emit("ret")

    def _promise(self, name: str) -> None:
        """Of as many inputs as can be active, those with the longest lists."""
        most = self.job.ranges[self.layer.input.name].reaching(1, self.layer.input.count)
        lengths = [(0 if c.hot else 2 * len(c.data), len(c.data) * c.hot) for c in self._columns]
        nibbles, of_bytes = np.sort(np.array(lengths), axis=0)[::-1][:most].sum(axis=0).tolist()
        self.job.at_most(name, most)
        self.job.at_most(f"{name}_nibble", nibbles)
        self.job.at_most(f"{name}_byte", of_bytes)

    def _find(self) -> None:
        """Z from twice where X is to the column."""
        job, columns = self.job, self.label("columns")
        out = job.code
        if job.far:
            out.emit("clr   r24")
        out.emit(self._add(f"{columns} - 2*({tensor_symbol(self.layer.input)} + 1)"))
        out.emit(f"{load(job, 'r24')}\n{load(job, 'r25')}\nmovw  r30, r24")
        if job.far:
            out.emit(f"clr   r24\n{self._add(self.label('lists'))}")

    def _add(self, constant: str) -> str:
        """Lines that add to Z, far with r24 above it."""
        lines = f"subi  r30, lo8(-({constant}))\nsbci  r31, hi8(-({constant}))"
        if not self.job.far:
            return lines
        return f"{lines}\nsbci  r24, hh8(-({constant}))\nout   {RAMPZ:#x}, r24"

    def _high(self) -> str:
        """Lines that step to the slot of the high nibble."""
        if "MUL" in self.job.target.features:
            return "mul   r18, r17\nadd   r28, r1"
        return "mov   r19, r18\nswap  r19\nandi  r19, 15\nadd   r28, r19"

    def _nibbles(self, operation: str) -> None:
        """A list whose first byte is in r18, from slot 0."""
        out, name = self.job.code, self.label("column")
        loop, end = f"{name}_{operation}", f"{name}_{operation}_end"
        event = f"""
            ld    r19, Y                  ; #{name}_nibble
            {operation}   r19, r16
            brcs  {end}
            st    Y, r19
        """
        out.emit(f"clr   r28\n{loop}:")
        for _ in range(_NIBBLES):
            out.emit(f"{self._high()}{event}andi  r18, 15\nadd   r28, r18{event}")
            out.emit(load(self.job, "r18"))
        out.emit(f"rjmp  {loop}\n{end}:")

    def _bytes(self, operation: str) -> None:
        out, name = self.job.code, self.label("column")
        loop, end = f"{name}_b{operation}", f"{name}_b{operation}_end"
        event = f"""
            {load(self.job, "r28")}
            ld    r19, Y                  ; #{name}_byte
            {operation}   r19, r16
            brcs  {end}
            st    Y, r19
        """
        out.emit(f"{loop}:{event * _BYTES}rjmp  {loop}\n{end}:")

    # What becomes of sums: those that are not active are passed over.

    def finish(self, lists: ListOutput | None) -> None:
        """Append the block's activations; sums are narrow only where a list is written."""
        assert lists
        job, out, loop = self.job, self.job.code, self.label("group")
        groups, rest = divmod(len(self.outputs), OUTPUTS)
        job.at_most(loop, groups + 1)
        out.emit(f"ldi   r30, lo8({self.page})\nldi   r31, hi8({self.page})")
        out.emit(f"ldi   r20, {self.frame.first}\nldi   r16, {1 - self.outputs.start & 0xFF}")
        out.emit(f"{loop}:")
        tests = min(OUTPUTS, len(self.outputs))
        for at in range(tests):
            if at == rest and groups:
                out.emit(f"cpi   r16, {groups + 1 - self.outputs.start & 0xFF}")
                out.emit(f"breq  {loop}_done")
            out.emit(f"ld    r18, Z+\ncp    r18, r20\nbrsh  {loop}_{at}\n{loop}_{at}_on:")
        if groups:
            out.emit(f"inc   r30\ninc   r16\nrjmp  {loop}\n{loop}_done:")
        take = self.label("take")
        out.emit(f"rjmp  {take}_end")
        for at in range(tests):
            out.emit(f"{loop}_{at}:\nrcall {take}\nrjmp  {loop}_{at}_on")
        out.emit(f"{take}:\nmov   r17, r30\nsub   r17, r16")
        self._take(lists, take)
        out.emit(f"ret\n{take}_end:")

    def _take(self, lists: ListOutput, take: str) -> None:
        """The activation of the sum in r18, of output r17."""
        job, out, left = self.job, self.job.code, self.plan.input_shift - self.plan.how.shift
        job.at_most(take, len(self.outputs))
        out.emit(f"subi  r18, {self.frame.base}")
        if "MUL" in job.target.features and left > 1:
            out.emit(f"ldi   r19, {1 << left}\nmul   r18, r19\nmovw  r18, r0")
        else:
            out.emit("clr   r19" + "\nlsl   r18\nrol   r19" * left)
        less = self.frame.less[self._units]
        if less.any():
            label = self.label("less")
            job.consts.emit(f"{label}:")
            job.consts.data(".byte", less)
            table = f"{label} - {self.outputs.start}"
            out.emit(f"movw  r0, r30{point_z(job, table)}add   r30, r17\nadc   r31, r2")
            if job.far:
                out.emit(f"in    r25, {RAMPZ:#x}\nadc   r25, r2\nout   {RAMPZ:#x}, r25")
            out.emit(f"{load(job, 'r3')}\nmovw  r30, r0\nsub   r18, r3\nsbc   r19, r2")
        lists.put(out, take, 18, "r17")
