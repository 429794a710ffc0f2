"""Linear with threaded words on Z80: columns that SP walks, over sums that lie as words.

Accumulators of 16 bits lie side by side, 128 to a page, so that whoever reads them loads a word.
Shared sums are then cheap: they are added when a sum is looked at (words.py), 31 T each, or 11 T
if DE still holds the word. So many more rows are worth sharing than with threaded lists, whose
merges take 123 T. A column has a run of either sign for each page (chains.py: 34 T an event).

Inputs are looked at one after the other in code of their own (words_layer.py), which ends in code
that those share that are seldom active, 10 T more; sums of a byte are scanned (scan_sums8.py).
Looking at an input takes, its column's walk aside,

    bytes                    27 T if it is inactive, 58 T if it is active
    int16                    34 T, 65 T
    words, shifted by two    34 T, 89 T, and in both cases 11 to 39 T for each shared sum

and, where it may be more than a byte, 17 T more if it is active, as an int16 21 T. A column ends
in 18 T. Inputs beyond a byte walk theirs again and again, 255 at a time. Layers with sums of a byte
or of 24 bits, or with inputs above 16,320, as proven, are written as threaded lists.

SP is a data pointer while columns are walked; interrupts are off then.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kernels.bounds import Bounds
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import threaded_words
from kernels.encodings.threaded_words import PAGE, Column
from kernels.ops.linear import Linear
from kernels.requant_plan import plan_requantization
from kernels.shared_sums import Sharing
from kernels.z80 import linear_threaded_lists
from kernels.z80.chains import END, ENTER, longest_run
from kernels.z80.chains import WORDS as LAID_OUT
from kernels.z80.columns import write_columns
from kernels.z80.rates import rates
from kernels.z80.road import Road
from kernels.z80.scan_sums8 import scan_sums8
from kernels.z80.stack_pointer import borrowed
from kernels.z80.sums8 import SUMS8, sums8
from kernels.z80.words import TIME, WORDS, holds
from kernels.z80.words_layer import MOST_ROWS, Look, WordsLayer
from kernels.z80.words_walk import WordsWalk

_EVENT = 36  # T-states, carries and odd ends of runs included
_RUNS = 24  # of a page's two runs
_OFTEN = 0.5  # from this rate on, inputs have code of their own for all that is done with them


@emitter(
    "z80",
    Linear,
    threaded_words.NAME,
    reads=(WORDS, SUMS8),
    writes=(WORDS, SUMS8),
    borrows=True,
    profile=("rates",),
    keeps=True,
)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R. Stack: at most four bytes."""
    layer = job.node
    assert isinstance(layer, Linear)
    if job.kept or job.writes is SUMS8 or not holds(layer, job.ranges):
        linear_threaded_lists.emit(job)
        return
    known = job.ranges[layer.input.name]
    _ThreadedWords(job, layer, plan_requantization(layer, known)).write()


@dataclass(frozen=True)
class _ThreadedWords(WordsLayer):
    encoding = threaded_words.NAME

    def walk(self, road: Road) -> None:
        """Look at all inputs, and walk the columns of those that are active; all in one place."""
        road.close()
        with borrowed(self.job, "walk_sp"):
            if self.job.reads is SUMS8:
                self._scan()
            else:
                self._look()

    def shared(self) -> Sharing:
        """As many rows as pay for the runs that another page adds to each column."""
        known, found = rates(self.job, self.layer), list[tuple[float, Sharing]]()
        for page in range(-(-self.outputs // PAGE), MOST_ROWS // PAGE + 1):
            sharing = self.share(page * PAGE, _EVENT)
            events = np.abs(sharing.weights.astype(np.int64)).sum(axis=0) @ known
            time = events * _EVENT + len(sharing.merges) * TIME + known.sum() * page * _RUNS
            if found and time >= found[-1][0]:
                break
            found.append((time, sharing))
        return found[-1][1] if found else Sharing(self.layer.weights, ())

    @cached_property
    def columns(self) -> list[Column]:
        """Columns of all inputs."""
        order = np.argsort(self.places)
        return threaded_words.encode(self.sharing.weights[order], longest_run(LAID_OUT))

    def _walk_of(self, name: str, units: list[int]) -> WordsWalk:
        known = self._counted(units)
        turned = any(run.onward for unit in units for run in self.columns[unit])
        added = 2 if known.high > 0xFF else 1
        return WordsWalk(self.job, name, self.sums, LAID_OUT, added, 0, known, turned)

    def _counted(self, units: list[int]) -> Bounds:
        """Bounds of some inputs, counted from the lowest value."""
        source = self.layer.input
        known = self.job.ranges[source.name].part(np.array(units), source.count)
        if not self.lowest:
            return known
        lows, highs = (np.array(ends) - self.lowest for ends in (known.lows, known.highs))
        return Bounds.of(lows, highs)

    def _scan(self) -> None:
        """Scan sums of a byte."""
        job, writer, symbol = self.job, self.job.writer, tensor_symbol(self.layer.input)
        assert isinstance(writer, Linear)
        handed = sums8(writer, job.ranges[writer.input.name])
        assert handed
        for number, block in enumerate(handed.blocks):
            units = block.units.tolist()
            walk = self._walk_of(f"i{number}", units)
            columns = [self.columns[unit] for unit in units]
            scan_sums8(walk, f"{symbol}+{256 * number}", handed, block, columns)

    def _look(self) -> None:
        """Look at inputs one by one."""
        reached = [any(run.events for run in column) for column in self.columns]
        looks = self.inputs([number for number, events in enumerate(reached) if events])
        if not looks:
            return
        numbers = [one.number for one in looks]
        walk, backs = self._walk_of("i", numbers), [self._back(number) for number in numbers]
        at = self._write_columns(numbers)
        self.job.code.emit(f"ld ix,{self.job.label('ended')}")
        for one in looks:
            self.job.code.emit(self._column(one, at[one.number]))
        self._write_ends(walk, backs, wide=any(one.wide for one in looks))
        walk.promise([self.columns[number] for number in numbers])

    def _write_columns(self, numbers: list[int]) -> dict[int, int]:
        """Columns, and behind each where to go on; where they begin, from the first."""
        table, at = self.job.table("columns"), dict[int, int]()
        for number in numbers:
            column = self.columns[number]
            at[number] = table.size
            write_columns(table, self.job, [column], LAID_OUT)
            table.data(".byte", [0] * column[-1].odd)  # the last POP brings two bytes
            table.emit(f".word {self._back(number)}")
        return at

    def _back(self, number: int) -> str:
        return self.job.label(f"i{number}_back")

    def _column(self, one: Look, start: int) -> str:
        """Look at an input and walk its column, `start` bytes behind the first."""
        enter = self._enter(one)
        if self._rates[one.number] < _OFTEN:
            tail = self.job.label("enter_wide" if one.wide else "enter")
            if tail not in self.job.subroutines:
                self.job.subroutine(tail).emit(enter)
            enter = f"jp {tail}"
        return f"""
            {one.load}
            ld sp,{self.job.label("columns")}+{start}
            {enter}
        {self._back(one.number)}:
            {one.keep}
        {self.job.label(f"i{one.number}_over")}:
        """

    @cached_property
    def _rates(self) -> list[float]:
        known: list[float] = rates(self.job, self.layer).tolist()
        return known

    def _enter(self, one: Look) -> str:
        """Into the column at SP, with what has been looked at."""
        test = ""
        if one.wide:
            upper = "" if one.high == "a" else f"ld a,{one.high}\n"
            test = f"{upper}and {one.upper}\njp nz,{self.job.label('wide')}"
        return f"""
            {one.value}
            {test}
            ld c,{one.low}
            ld h,({self.sums})>>8
            {ENTER}
        """

    def _write_ends(self, walk: WordsWalk, backs: list[str], *, wide: bool) -> None:
        """What columns end at: on to the address behind them, or another walk of the same one.

        A column, SP, is walked until A and L are added.
        """
        job, label, on = self.job, self.job.label, self.job.label("on")
        job.subroutine(label("ended")).emit(f"ret ; #{on}")
        job.at_most(on, len(backs))
        job.jumps(on, *backs)
        job.jumps(END, label("ended"))
        if not wide:
            return
        walk.scratch_bytes()
        job.code.emit(f"""
            jp {label("looked")}
        {label("wide")}:
            ld h,a
            ld ({walk.label("x")}),hl
            ld ({walk.label("column")}),sp
        """)
        walk.add_bytes()
        job.code.emit(f"""
            ld ix,{label("ended")}
            ret ; #{on}
        {label("looked")}:
        """)
