"""Linear with straight-line weights on Z80: what an active input adds is code of its own.

Accumulators lie in RAM as words (three bytes each at 24 bits), low byte first. Input after input is
looked at, and where it is not zero its column follows (straight_column.py), 32 T an event, else it
is jumped over. Code lies in banks where there are any and goes on from one to the next (road.py).

Between two such layers sums stay as they are (words.py): the next layer adds shared sums to each as
it looks at it. Sums of a byte (sums8.py) are read, too. Inputs beyond a byte walk their columns
again and again, 255 at a time.

Looking at an input takes, if it is inactive and if it is active, its column aside:

    bytes                    27 T     31 T
    int16                    34 T     63 T
    words, shifted by two    34 T     87 T, and in both cases 11 to 39 T for each shared sum
    sums of a byte           30 T     79 T, and 4 T for each bit of the gain

where inputs may be more than a byte. A jump over carries at a column's end takes 10 T.

The stack pointer stays a stack pointer but while start values are pushed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import straight_line
from kernels.errors import Unsupported
from kernels.ir import Bounds
from kernels.list_blocks import MIDDLE
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.shared_sums import Sharing, share
from kernels.z80.accumulators import finish
from kernels.z80.count_in_memory import count_in_memory
from kernels.z80.counters import count_in_registers
from kernels.z80.fill import start_values
from kernels.z80.finish import is_plain
from kernels.z80.rates import rates
from kernels.z80.road import Road
from kernels.z80.straight_column import Event, events, straight_column
from kernels.z80.sums8 import SUMS8, Bytes, check_kept, sums8
from kernels.z80.words import DEEPER, TIME, WORDS, Loader, Sum, Term, Words, chained

_EVENT = 34  # T-states, carries included
_STEP = 255  # the most that a walk adds
_MOST_WALKS = 64
_MOST_ROWS = 1024


@emitter(
    "z80",
    Linear,
    straight_line.NAME,
    reads=(WORDS, SUMS8),
    writes=(WORDS, SUMS8),
    profile=("rates",),
    keeps=True,
)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R. Stack: at most four bytes."""
    layer = job.node
    assert isinstance(layer, Linear)
    known = job.ranges[layer.input.name]
    if job.kept:
        check_kept(job)
    handed = sums8(layer, known) if job.writes is SUMS8 else None
    if handed:
        count(job, layer, handed)
    else:
        whole = _Layer(job, layer, plan_requantization(layer, known))
        whole.check()
        whole.write()


def count(job: Job, layer: Linear, known: Bytes) -> None:
    """Write a layer whose sums have a byte each, in registers if that can be."""
    size = 256 * (len(known.blocks) - 1) + len(known.blocks[-1].units) + 4
    job.output_buffer(size, align=256)
    if not count_in_registers(job, layer, known):
        count_in_memory(job, layer, known)


@dataclass(frozen=True, eq=False, slots=True)
class _Input:
    """One input to look at, by its number. most: its proven bound.

    load: code that jumps to its label `over` if there is nothing to add, and else goes on with the
    low byte in C and, if the input may be more than a byte, the high one in B. stub: what `load`
    jumps to, which goes to the column. upper: of B behind a column, the bits that count.
    """

    number: int
    most: int
    load: str
    stub: str = ""
    upper: int = 0xFF

    @property
    def wide(self) -> bool:
        """Whether the column may be walked again."""
        return self.most > _STEP

    @property
    def walks(self) -> int:
        """How often the column is walked at most."""
        return 1 - (-(self.most & ~0xFF) // _STEP)


@dataclass(frozen=True)
class _Layer:
    job: Job
    layer: Linear
    plan: RequantPlan

    def write(self) -> None:
        job, size = self.job, self.acc_bytes * len(self.places) + 3
        if job.writes:
            job.output_buffer(size, align=256)
            job.left[self.layer.output.name] = Words(tuple(self.terms[: self.outputs]))
        else:
            job.scratch("acc", size, align=256)
        start_values(job, self.sums, self._starts())
        road = Road(job, "part")
        self._walk(road)
        self._complete(road)
        if self.plain:
            self._shift(road)
        road.close()
        if not job.writes and not self.plain:
            finish(job, self.layer, self.plan, self.sums, self._bias - self._middle)

    def check(self) -> None:
        """Unsupported for inputs that would take too long, however exact."""
        most = max(self._most(number) for number in range(self.layer.input.count))
        if most > _MOST_WALKS * _STEP:
            raise Unsupported(
                f"{self.layer.name}: straight-line adds {_STEP} at a time, and inputs may lie "
                f"{most:,} above the least: bound them, or use another encoding"
            )

    @property
    def outputs(self) -> int:
        return len(self.layer.bias)

    @property
    def acc_bytes(self) -> int:
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
        weights = self.layer.weights
        if self.acc_bytes != 2:
            return Sharing(weights, ())
        room = max(_MOST_ROWS - len(weights), 0)
        known = rates(self.job, self.layer)
        return share(weights, known, TIME / _EVENT, room, deeper=DEEPER / _EVENT)

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
                self._add(road, f"{sums.load(terms)}\nld ({self.sums}+{terms[0].at}),hl")

    def _shift(self, road: Road) -> None:
        """Outputs that are accumulators, shifted."""
        output, sums = self.layer.output, Loader(self.sums)
        store = "ld ({}),hl" if output.dtype.size == 2 else "ld a,l\nld ({}),a"
        for unit, terms in chained(self.terms[: self.outputs]):
            place = store.format(f"{tensor_symbol(output)}+{unit * output.dtype.size}")
            shift = "sra h\nrr l\n" * self.plan.how.shift
            self._add(road, f"{sums.load(terms)}\n{shift}{place}")

    def _add(self, road: Road, text: str) -> None:
        piece = self.job.assembly()
        piece.emit(text)
        road.add(piece)

    def _walk(self, road: Road) -> None:
        """Look at all inputs, and walk the columns of those that are active."""
        fragments = straight_line.encode(self.sharing.weights)
        inputs = self._inputs([number for number, one in enumerate(fragments) if one])
        if any(one.wide for one in inputs):
            self.job.code.emit(f"ld hl,0\nld ({self.job.scratch('rest', 2)}),hl\nld b,l")
            self._write_more()
        for one in inputs:
            label = self.job.label(f"i{one.number}")
            column = events(fragments[one.number], self.places, label)
            self._add(road, self._column(one, column, label))

    def _column(self, one: _Input, column: list[Event], label: str) -> str:
        end = stubs = ""
        if one.wide:
            end = f"ld a,b\nand {one.upper}\njp nz,{label}_again"
            stubs = f"{one.stub}\n{label}_again:\nld ix,{label}_column"
            stubs += f"\njp {self.job.label('more')}"
            self.job.at_most(f"{label}_column", one.walks)
            self.job.jumps(self.job.label("walk"), f"{label}_column")
        text = f"{one.load}\n{label}_column:\n"
        return text + straight_column(self.sums, column, self.acc_bytes, (end, stubs), label)

    def _write_more(self) -> None:
        """Walk a column, at IX, with what is left of an input: A is its high byte at first.

        DE stays.
        """
        rest, label = self.job.label("rest"), self.job.label
        self.job.subroutine(label("more")).emit(f"""
            ld c,a
            ld hl,({rest})
            ld a,h
            or l
            jr nz,{label("left")}
            ld h,c                      ; the first time
        {label("left")}:
            ld bc,{_STEP}
            or a
            sbc hl,bc
            jr nc,{label("whole")}
            add hl,bc
            ld c,l
            ld hl,0
        {label("whole")}:
            ld ({rest}),hl
            ld a,h
            or l
            jr z,{label("last")}
            inc b                       ; and once more
        {label("last")}:
            jp (ix) ; #{label("walk")}
        """)

    def _inputs(self, numbers: list[int]) -> list[_Input]:
        """How to look at some inputs, in the order to do that."""
        job = self.job
        if job.reads is WORDS:
            words, sums = job.left[self.layer.input.name], Loader(tensor_symbol(self.layer.input))
            assert isinstance(words, Words)
            order = chained([words.units[number] for number in numbers])
            return [self._word(numbers[place], sums.load(terms)) for place, terms in order]
        look = self._byte_sum if job.reads else self._dense
        return [look(number) for number in numbers]

    def _most(self, number: int) -> int:
        return int(self.known.highs[number]) - self.lowest

    def _over(self, number: int) -> str:
        return self.job.label(f"i{number}_over")

    def _word(self, number: int, load_sum: str) -> _Input:
        writer, most = self.job.writer, self._most(number)
        assert isinstance(writer, Linear)
        shift = writer.requantization.shift
        load = f"{load_sum}\nld a,h\nor a\njp m,{self._over(number)}\n" + "rrca\nrr l\n" * shift
        load += "ld b,a\nld c,l" if most > _STEP else "ld c,l"
        return _Input(number, most, load, upper=0x7F >> shift)

    def _byte_sum(self, number: int) -> _Input:
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
        if most > _STEP:
            label = self.job.label(f"i{number}")
            load += f"cp {(0xFF - rest >> known.gain) + 1}\njp nc,{label}_wide\n"
            wide = "add hl,hl\n" * known.gain
            stub = f"{label}_wide:\nld l,a\nld h,0\n{wide}ld bc,{rest}\nadd hl,bc"
            stub += f"\nld b,h\nld c,l\njp {label}_column"
        return _Input(number, most, f"{load}\n{shift}\nadd a,{rest}\nld c,a", stub)

    def _dense(self, number: int) -> _Input:
        most, over, size = self._most(number), self._over(number), self.layer.input.dtype.size
        place = f"({tensor_symbol(self.layer.input)}+{number * size})"
        if most <= _STEP:
            lower = f"sub {self.lowest & 0xFF}" if self.lowest else "or a"
            return _Input(number, most, f"ld a,{place}\n{lower}\njp z,{over}\nld c,a")
        lower = f"ld de,{-self.lowest}\nadd hl,de" if self.lowest else ""
        load = f"ld hl,{place}\n{lower}\nld a,h\nor l\njp z,{over}\nld b,h\nld c,l"
        return _Input(number, most, load)
