"""Linear with paged trits on AVR: as `linear_trits`, with a page of flash for each block.

A page holds a code for each input, the end's, the address before the block's pairs, where far less
that of the page, and the biases. Near, pairs lie anywhere, such as in what other pages leave; far,
behind the layer's pages. Layers of more than 238 inputs are written as trits.

Registers: as `trit_handlers`, and r17 the output's index, Y where outputs go; T is set if any high
byte is not zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from kernels.avr.active_list import ACTIVE, ActiveList
from kernels.avr.linear_trits import Trits
from kernels.avr.memory import RAMPZ, load
from kernels.avr.trit_handlers import END, handlers, places
from kernels.emit import Job, emitter
from kernels.encodings import paged_trits
from kernels.encodings.paged_trits import INPUTS, PAGE
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization


@emitter("avr", Linear, paged_trits.NAME, reads=(ACTIVE,), writes=(ACTIVE,))
def emit(job: Job) -> None:
    """Write the layer: its list of inputs, block after block of sums, requantization.

    Uses every register. Stack: a return address, in a plain shift's end none more.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    write_paged(job, layer, replace(plan, input_shift=0))


def write_paged(job: Job, layer: Linear, plan: RequantPlan) -> None:
    """Write a layer with pages, or without, where it has too many inputs."""
    kind = PagedTrits if layer.input.count <= INPUTS else Trits
    kind(job, layer, plan).write()


@dataclass(frozen=True)
class PagedTrits(Trits):
    """Pages follow each other, so the next block's number is one more."""

    @cached_property
    def handlers(self) -> str:
        """The name of the code that adds inputs."""
        return handlers(self.job, self.width, paged=True)

    def _page(self, block: int) -> str:
        return self.job.label(f"page{block}")

    def _write_stream(self) -> None:
        job, pairs = self.job, dict[str, list[int]]()
        for number, (block, biases) in enumerate(self.encoded):
            page, begin = job.table(f"page{number}", PAGE), job.label(f"begin{number}")
            page.emit(f"{begin}:")
            page.data(".byte", [*places(block.codes), END])
            label = job.label(f"pairs{number}")
            if block.pairs.size:
                pairs[label] = places(block.pairs)
            place = f"{label} - 1{f' - {begin}' * job.far}" if block.pairs.size else "0"
            page.emit(f".word {place}")
            if biases:
                page.data(".byte", biases)
        behind = job.table("pairs") if job.far and pairs else None
        for label, data in pairs.items():
            out = behind or job.anywhere()
            out.emit(f"{label}:")
            out.data(".byte", data)

    def _begin(self) -> None:
        out = self.job.code
        out.emit(f"ldi   r22, hi8({self._page(0)})")
        if self.job.far:
            out.emit(f"ldi   r23, hh8({self._page(0)})")

    def _block(self, lists: ActiveList) -> None:
        """A block's sums; its page is in r22 (r23) before and behind that."""
        out, label = self.job.code, self.job.label("block")
        high = lists.digits > 1
        if high:
            self._look_for_high(lists)
            out.emit(f"rjmp  {label}")
            self._high(label, lists, 0)
        out.emit(f"{label}:\nclr   r21\nmov   r19, r22")
        self._find_pairs()
        if high:
            out.emit(f"brtc  .+2\nrjmp  {label}_high")
        self._start()
        if high:
            out.emit(f"{label}_low:")
        self._walk(lists, 0)
        out.emit("mov   r22, r19")
        if self.job.far:
            out.emit("mov   r23, r20")

    def _find_pairs(self) -> None:
        """Where the pairs are into r22, r23 (r24); Z to the biases behind that."""
        out, job = self.job.code, self.job
        if job.far:
            out.emit(f"mov   r20, r23\nout   {RAMPZ:#x}, r20")
        out.emit(f"ldi   r30, {self.layer.input.count + 1}\nmov   r31, r19")
        out.emit(f"{load(job, 'r22')}\n{load(job, 'r23')}")
        if job.far:
            out.emit("clr   r24\nadd   r23, r19\nadc   r24, r20")

    def _find_biases(self, codes: int) -> None:
        del codes
        out = self.job.code
        out.emit(f"ldi   r30, {self.layer.input.count + 3}\nmov   r31, r19")

    def _until_end(self) -> None:
        """Back to the next block, if there is one."""
        job, out, block = self.job, self.job.code, self.job.label("block")
        out.emit(f"cpi   r22, hi8({self._page(self.blocks - 1)})\nbreq  {block}_done\ninc   r22")
        if job.far:
            out.emit("brne  .+2\ninc   r23")
        out.emit(f"rjmp  {block}\n{block}_done:")
