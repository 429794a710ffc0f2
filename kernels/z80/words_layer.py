"""Layers on Z80 whose sums lie in RAM as words, and how they look at one input after the other.

What kernels for such layers share (straight-line code, threaded words): shared sums, what sums
begin at and where they lie, code that looks at inputs of each form, and the ends of sums. How
columns are walked is theirs.

Between two such layers sums stay as they are (words.py): the next layer adds shared sums to each as
it looks at it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kernels.emit import Job, tensor_symbol
from kernels.errors import Unsupported
from kernels.ir import Bounds
from kernels.list_blocks import MIDDLE
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan
from kernels.shared_sums import Sharing, share
from kernels.z80.accumulators import finish
from kernels.z80.fill import start_values
from kernels.z80.finish import is_plain
from kernels.z80.rates import rates
from kernels.z80.road import Road
from kernels.z80.sums8 import sums8
from kernels.z80.words import (
    DEEPER,
    MOST_WALKS,
    STEP,
    TIME,
    WORDS,
    Loader,
    Sum,
    Term,
    Words,
    chained,
    loaded,
)

MOST_ROWS = 1024
_EVENT = 34  # T-states, carries included


@dataclass(frozen=True, eq=False, slots=True)
class Look:
    """One input to look at, by its number. most: its proven bound.

    load: code that jumps to its label `over` if there is nothing to add. value: what is done else,
    to leave the low byte in the register `low` and, if the input may be more than a byte, the high
    one in `high`, where that is not empty. stub: what `load` jumps to, which goes to the column
    with both in C and B. upper: of the high byte, the bits that count. keep: code that brings back
    what later inputs want to find in DE, for columns that clobber it.
    """

    number: int
    most: int
    load: str
    value: str = ""
    low: str = "a"
    high: str = ""
    stub: str = ""
    upper: int = 0xFF
    keep: str = ""

    @property
    def wide(self) -> bool:
        """Whether the column may be walked again."""
        return self.most > STEP

    @property
    def walks(self) -> int:
        """How often the column is walked at most."""
        return 1 - (-(self.most & ~0xFF) // STEP)


@dataclass(frozen=True)
class WordsLayer(ABC):
    """One layer to be written; subclasses walk columns."""

    encoding: ClassVar[str]
    job: Job
    layer: Linear
    plan: RequantPlan

    @abstractmethod
    def walk(self, road: Road) -> None:
        """Look at all inputs, and walk the columns of those that are active."""

    def write(self) -> None:
        """Write the layer, `check`ed."""
        job, size = self.job, self.acc_bytes * len(self.places) + 3
        if job.writes:
            job.output_buffer(size, align=256)
            job.left[self.layer.output.name] = Words(tuple(self.terms[: self.outputs]))
        else:
            job.scratch("acc", size, align=256)
        start_values(job, self.sums, self._starts())
        road = Road(job, "part")
        self.walk(road)
        self._complete(road)
        if self.plain:
            self._shift(road)
        road.close()
        if not job.writes and not self.plain:
            finish(job, self.layer, self.plan, self.sums, self._bias - self._middle)

    def check(self) -> None:
        """Unsupported for inputs that would take too long, however exact."""
        most = max(self._most(number) for number in range(self.layer.input.count))
        if most > MOST_WALKS * STEP:
            raise Unsupported(
                f"{self.layer.name}: {self.encoding} adds {STEP} at a time, and inputs may lie "
                f"{most:,} above the least: bound them, or use another encoding"
            )

    @property
    def outputs(self) -> int:
        """How many given rows there are."""
        return len(self.layer.bias)

    @property
    def acc_bytes(self) -> int:
        """Bytes of an accumulator."""
        return self.plan.acc_bytes

    @property
    def sums(self) -> str:
        """The symbol of the first accumulator."""
        return tensor_symbol(self.layer.output) if self.job.writes else self.job.label("acc")

    @property
    def plain(self) -> bool:
        """Whether outputs are the accumulators, shifted."""
        return not self.job.writes and self.layer.input_shift == 0 and is_plain(self.plan)

    @property
    def known(self) -> Bounds:
        """Bounds of each input."""
        known, count = self.job.ranges[self.layer.input.name], self.layer.input.count
        return known.part(np.arange(count), count)

    @property
    def lowest(self) -> int:
        """What inputs are counted from, so that none is negative."""
        return min(self.job.ranges[self.layer.input.name].low, 0)

    @property
    def _bias(self) -> NDArray[np.int64]:
        """What every sum of inputs, counted from the lowest, lacks, int64 (out,)."""
        weights = self.layer.weights.astype(np.int64).sum(axis=1)
        bias: NDArray[np.int64] = self.layer.folded_bias + (
            weights * self.lowest << self.layer.input_shift
        )
        return bias

    @property
    def _middle(self) -> int:
        return MIDDLE << self.layer.input_shift

    @cached_property
    def sharing(self) -> Sharing:
        """Rows, those of shared sums behind the outputs'."""
        if self.acc_bytes != 2:
            return Sharing(self.layer.weights, ())
        return self.shared()

    def shared(self) -> Sharing:
        """Sums of two bytes that rows share as long as that is a gain."""
        return self.share(MOST_ROWS, _EVENT)

    def share(self, most: int, event: float) -> Sharing:
        """At most that many rows. event: T-states of one, carries included."""
        weights = self.layer.weights
        room, known = max(most - len(weights), 0), rates(self.job, self.layer)
        return share(weights, known, TIME / event, room, deeper=DEEPER / event)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """What the sum of each row begins at, int64 (rows,)."""
        wanted = np.full(self.outputs, MIDDLE)
        if self.job.writes or self.plain:
            wanted = self._bias + self.plan.how.round_bias
        starts = self.sharing.middle_starts(wanted, rates(self.job, self.layer))
        return starts % (1 << 8 * self.acc_bytes)

    @cached_property
    def places(self) -> list[int]:
        """Where each row's sum lies, in bytes; equal starts side by side, if order is free."""
        order = np.arange(len(self.starts))
        if self.acc_bytes == 2 and (self.job.writes or self.plain):
            order = np.argsort(self.starts, kind="stable")
        places: list[int] = (np.argsort(order, kind="stable") * self.acc_bytes).tolist()
        return places

    @cached_property
    def terms(self) -> list[Sum]:
        """Which words make up the sum of each row."""
        terms = [[Term(place)] for place in self.places]
        for merge in self.sharing.merges:
            shared = self.places[merge.shared]
            terms[merge.one].append(Term(shared))
            terms[merge.other].append(Term(shared, merge.sign))
        return [tuple(own) for own in terms]

    def _starts(self) -> list[int]:
        """The same, byte by byte as they lie."""
        data = np.zeros(self.acc_bytes * len(self.places), np.int64)
        for place, start in zip(self.places, self.starts.tolist(), strict=True):
            for byte in range(self.acc_bytes):
                data[place + byte] = start >> 8 * byte & 0xFF
        found: list[int] = data.tolist()
        return found

    def _complete(self, road: Road) -> None:
        """Add up sums of several words that are read as one: shared ones, then those to finish."""
        rows = [self.terms[merge.shared] for merge in self.sharing.merges]
        if not self.job.writes and not self.plain:
            rows += self.terms[: self.outputs]
        sums = Loader(self.sums)
        for terms in rows:
            if len(terms) > 1:
                self.add(road, f"{sums.load(terms)}\nld ({self.sums}+{terms[0].at}),hl")

    def _shift(self, road: Road) -> None:
        """Outputs that are accumulators, shifted."""
        output, sums = self.layer.output, Loader(self.sums)
        store = "ld ({}),hl" if output.dtype.size == 2 else "ld a,l\nld ({}),a"
        for unit, terms in chained(self.terms[: self.outputs]):
            place = store.format(f"{tensor_symbol(output)}+{unit * output.dtype.size}")
            shift = "sra h\nrr l\n" * self.plan.how.shift
            self.add(road, f"{sums.load(terms)}\n{shift}{place}")

    def add(self, road: Road, text: str) -> None:
        """Write some code on."""
        piece = self.job.assembly()
        piece.emit(text)
        road.add(piece)

    def inputs(self, numbers: list[int]) -> list[Look]:
        """How to look at some inputs, in the order to do that."""
        job = self.job
        if job.reads is WORDS:
            words = job.left[self.layer.input.name]
            assert isinstance(words, Words)
            order = chained([words.units[number] for number in numbers])
            loads = loaded(tensor_symbol(self.layer.input), [terms for _, terms in order])
            return [
                self._word(numbers[place], *load)
                for (place, _), load in zip(order, loads, strict=True)
            ]
        look = self._byte_sum if job.reads else self._dense
        return [look(number) for number in numbers]

    def _most(self, number: int) -> int:
        return int(self.known.highs[number]) - self.lowest

    def _over(self, number: int) -> str:
        return self.job.label(f"i{number}_over")

    def _word(self, number: int, load_sum: str, keep: str) -> Look:
        writer, most = self.job.writer, self._most(number)
        assert isinstance(writer, Linear)
        shift = writer.requantization.shift
        load = f"{load_sum}\nld a,h\nor a\njp m,{self._over(number)}"
        value = "rrca\nrr l\n" * shift
        high = "a" if most > STEP else ""
        return Look(number, most, load, value, "l", high, upper=0x7F >> shift, keep=keep)

    def _byte_sum(self, number: int) -> Look:
        writer, most = self.job.writer, self._most(number)
        assert isinstance(writer, Linear)
        known = sums8(writer, self.job.ranges[writer.input.name])
        assert known
        rest, shift = int(known.rests[number]), "add a,a\n" * known.gain
        load = f"""
            ld a,({tensor_symbol(self.layer.input)}+{known.place(number)})
            sub {known.threshold}
            jp c,{self._over(number)}
        """
        stub = ""
        if most > STEP:
            label = self.job.label(f"i{number}")
            load += f"cp {(0xFF - rest >> known.gain) + 1}\njp nc,{label}_wide\n"
            wide = "add hl,hl\n" * known.gain
            stub = f"{label}_wide:\nld l,a\nld h,0\n{wide}ld bc,{rest}\nadd hl,bc"
            stub += f"\nld b,h\nld c,l\njp {label}_column"
        return Look(number, most, load, f"{shift}\nadd a,{rest}", stub=stub)

    def _dense(self, number: int) -> Look:
        most, over, size = self._most(number), self._over(number), self.layer.input.dtype.size
        place = f"({tensor_symbol(self.layer.input)}+{number * size})"
        if most <= STEP:
            lower = f"sub {self.lowest & 0xFF}" if self.lowest else "or a"
            return Look(number, most, f"ld a,{place}\n{lower}\njp z,{over}")
        lower = f"ld de,{-self.lowest}\nadd hl,de" if self.lowest else ""
        load = f"ld hl,{place}\n{lower}\nld a,h\nor l\njp z,{over}"
        return Look(number, most, load, "", "l", "h")
