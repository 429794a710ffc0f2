"""Linear with twin trits on AVR: input-stationary, ten outputs of 16 bits at a time in registers.

As `linear_paged_trits`, but an input has two codes in a block, in two pages that follow each other:
both are looked up at once, and each selects a handler for five of the outputs. The first page also
holds the end's code, where the block's pairs and late codes are, and the biases.

Where constants are far, sums have 24 bits, activations are more than a plain shift, or there is no
room for all inputs, pairs or late codes, paged trits serve instead.

Registers: as `twin_handlers`. Between blocks, where outputs go and the output's index are in SRAM.

Cycles: for each block and input as `twin_handlers`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from kernels.avr.active_list import ACTIVE, ActiveList, read_list
from kernels.avr.linear_paged_trits import write_paged
from kernels.avr.linear_trits import Trits
from kernels.avr.list_output import ListOutput
from kernels.avr.memory import call, point
from kernels.avr.twin_handlers import (
    END,
    first_places,
    pairs_offset,
    second_places,
    twin_handlers,
)
from kernels.emit import Job, emitter, little_endian
from kernels.encodings import twin_trits
from kernels.encodings.trits import PATTERNS
from kernels.encodings.twin_trits import BLOCK, INPUTS
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization


@emitter("avr", Linear, twin_trits.NAME, reads=(ACTIVE,), writes=(ACTIVE,))
def emit(job: Job) -> None:
    """Write the layer: its list of inputs, block after block of sums, activations.

    Uses every register. Stack: a return address.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    plan = replace(plan_requantization(layer, job.ranges[layer.input.name]), input_shift=0)
    blocks = [twin_trits.encode(rows) for rows in twin_trits.ten_rows(layer.weights)]
    room = layer.input.count <= INPUTS and all(block.fits for block in blocks)
    if room and not job.far and _is_plain(plan):
        TwinTrits(job, layer, plan).write()
    else:
        write_paged(job, layer, plan)


def _is_plain(plan: RequantPlan) -> bool:
    """Whether sums of 16 bits, shifted right, are the activations, or zero if they are below."""
    how = plan.how
    plain = how.is_shift and how.round_bias == how.zero_point == 0 and how.shift < 8
    clamps = plan.clamp_high is not None or plan.clamp_low not in (None, 0)
    return plain and not clamps and plan.acc_bytes == 2 and plan.output_bytes <= 2


@dataclass(frozen=True)
class TwinTrits(Trits):
    """Blocks of ten outputs."""

    @property
    def blocks(self) -> int:
        """How many there are."""
        return -(-len(self.layer.bias) // BLOCK)

    @property
    def accumulators(self) -> range:
        """Their registers."""
        return range(2, 2 + 2 * BLOCK)

    @cached_property
    def _names(self) -> tuple[str, str]:
        return twin_handlers(self.job)

    @cached_property
    def handlers(self) -> str:
        """The name of those that begin with an input."""
        return self._names[1]

    @cached_property
    def _cells(self) -> str:
        """The output's index, and where dense outputs go."""
        return self.job.scratch("cells", 3)

    @cached_property
    def _lists(self) -> ListOutput:
        return ListOutput(self.job)

    def write(self) -> None:
        """Write all."""
        job, out, label = self.job, self.job.code, self.job.label("block")
        encoded = [twin_trits.encode(rows) for rows in twin_trits.ten_rows(self.layer.weights)]
        self._write_pages(encoded)
        lists = read_list(job, self.width, self.layer.input_shift)
        self._promise_of(encoded, lists)
        self._begin_outputs()
        out.emit(f"ldi   r23, hi8({job.label('page0')})")
        self._sums(label, lists)
        self._outputs()
        last = job.label(f"page{2 * self.blocks - 2}")
        out.emit(f"cpi   r23, hi8({last})\nbreq  {label}_done\nsubi  r23, -2")
        out.emit(f"rjmp  {label}\n{label}_done:")
        if job.writes is ACTIVE:
            self._lists.resume()
            self._lists.end()

    def _write_pages(self, encoded: list[twin_trits.Block]) -> None:
        job = self.job
        bias = np.zeros(BLOCK * self.blocks, np.int64)
        bias[: len(self.layer.bias)] = self.layer.folded_bias
        for number, (block, values) in enumerate(
            zip(encoded, bias.reshape(-1, BLOCK).tolist(), strict=True)
        ):
            first, second = (job.table(f"page{2 * number + n}", 256) for n in range(2))
            first.data(".byte", [*first_places(block, block.codes[0]), END])
            first.emit(f".word {self._write_pairs(number, block)}")
            data = [byte for value in values for byte in little_endian(value, self.bias_bytes)]
            if data:
                first.data(".byte", data)
            second.data(".byte", [*second_places(block.codes[1]), 0])  # the end looks up both, too

    def _write_pairs(self, number: int, block: twin_trits.Block) -> str:
        """What Y is in a block: twice a pair's place is added to it."""
        if not len(block.pairs) + len(block.late):
            return "0"
        out, label = self.job.anywhere(), self.job.label(f"pairs{number}")
        out.emit(f"{label}:")
        out.data(".byte", first_places(block, block.pairs))
        for other, first in block.late:
            out.data(".byte", [*second_places(other), *first_places(block, first)])
        return f"{label} - {pairs_offset(block)}"

    def _promise_of(self, encoded: list[twin_trits.Block], lists: ActiveList) -> None:
        """Each list is walked for every block; a late code meets its input twice."""
        job, digits = self.job, range(lists.digits)
        first, second = self._names
        job.at_most(job.label("block"), self.blocks)
        rows = twin_trits.ten_rows(self.layer.weights)
        for block, weights in zip(encoded, rows, strict=True):
            found, other = block.without_late()
            pair, late = (part.astype(np.int64) for part in (found >= len(PATTERNS), other > 0))
            added = np.abs(weights.astype(np.int64)).sum(axis=0)
            for name, count in (
                (f"{first}_jump", 1 + 2 * pair + 2 * late),
                (f"{second}_jump", 1 + pair + late),
                (f"{first}_pair", pair),
                (f"{first}_late", 2 * late),
                (f"{first}_add", added),
                (f"{second}_add", added),
            ):
                job.at_most(name, sum(sum(lists.most_of(d, count)) for d in digits))
            job.at_most(f"{first}_jump", lists.digits)  # the lists' ends

    def _sums(self, label: str, lists: ActiveList) -> None:
        """A block's sums."""
        out, high = self.job.code, lists.digits > 1
        if high:
            out.emit(f"rjmp  {label}")
            self._add_high(label, lists)
        out.emit(f"{label}:\nldi   r30, {self.layer.input.count + 1}\nmov   r31, r23")
        out.emit("lpm   r28, Z+\nlpm   r29, Z+\nmov   r22, r23\ninc   r22")
        if high:
            out.emit(f"lds   r24, {lists.address(1, 0)}\ncpi   r24, {lists.sizes[0]}")
            out.emit(f"breq  .+2\nrjmp  {label}_high")
        self._start()
        if high:
            out.emit(f"{label}_low:")
        out.emit("clt")
        self._walk(lists, 0)

    def _walk(self, lists: ActiveList, digit: int) -> None:
        out = self.job.code
        out.emit(point("X", lists.address(digit, 0)))
        out.emit(f"{call(self.job)} {self.handlers}_next")

    def _add_high(self, label: str, lists: ActiveList) -> None:
        """What high bytes add, shifted up; then the biases, of which nothing carries."""
        out, sums = self.job.code, self.accumulators
        out.emit(f"{label}_high:\nclr   r2\nclr   r3\nclt")
        out.emit("\n".join(f"movw  r{low}, r2" for low in sums[2::2]))
        self._walk(lists, 1)
        out.emit(f"ldi   r30, {self.layer.input.count + 3}\nmov   r31, r23")
        for low in sums[::2]:
            out.emit(f"mov   r{low + 1}, r{low}")
            out.emit(f"lpm   r{low}, Z+" if self.bias_bytes else f"clr   r{low}")
            if self.bias_bytes == 1:
                out.emit(f"sbrc  r{low}, 7\ndec   r{low + 1}")
            elif self.bias_bytes:
                out.emit(f"lpm   r24, Z+\nadd   r{low + 1}, r24")
        out.emit(f"rjmp  {label}_low")

    def _begin_outputs(self) -> None:
        out, job = self.job.code, self.job
        if job.writes is ACTIVE:
            self._lists.begin()
            self._lists.pause()
            out.emit(f"sts   {self._cells}, r1")
            return
        buffer = job.output_buffer(BLOCK * self.blocks * self.layer.output.dtype.size)
        out.emit(point("Y", buffer))
        out.emit(f"sts   {self._cells} + 1, r28\nsts   {self._cells} + 2, r29")

    def _outputs(self) -> None:
        """The activations of a block."""
        out, sums = self.job.code, self.accumulators
        units = [(number, (sums[2 * number], sums[2 * number + 1])) for number in range(BLOCK)]
        if self.job.writes is ACTIVE:
            self._lists.resume()
            out.emit(f"lds   r22, {self._cells}")
            for number, acc in units:
                self._put(self.job.label(f"put{number}"), acc)
            out.emit(f"sts   {self._cells}, r22")
            self._lists.pause()
            return
        out.emit(f"lds   r28, {self._cells} + 1\nlds   r29, {self._cells} + 2")
        for _, (low, high) in units:
            out.emit(f"asr   r{high}\nror   r{low}\n" * self.plan.how.shift)
            if self.plan.clamp_low is not None:
                out.emit(f"sbrc  r{high}, 7\nclr   r{low}\nsbrc  r{high}, 7\nclr   r{high}")
            out.emit("\n".join(f"st    Y+, r{r}" for r in (low, high)[: self.plan.output_bytes]))
        out.emit(f"sts   {self._cells} + 1, r28\nsts   {self._cells} + 2, r29")

    def _put(self, label: str, acc: tuple[int, int]) -> None:
        """One activation to the list, if it is above zero."""
        out, (low, high) = self.job.code, acc
        out.emit(f"tst   r{high}\nbrmi  {label}")
        shift = f"lsr   r{high}\nror   r{low}\n" * self.plan.how.shift
        out.emit(f"{shift or f'tst   r{low}'}\nbreq  {label}_next")  # shifts leave the flag
        out.emit(f"st    Y+, r22\nst    Y+, r{low}\n{label}_next:")
        if self._lists.lists.digits > 1:
            out.emit(f"tst   r{high}\nbreq  {label}\nmov   r25, r{high}")
            out.emit(f"{call(self.job)} {self._lists.routine('r22')}")
        out.emit(f"{label}:\ninc   r22")
