"""Linear with threaded lists on Z80: input-stationary, with columns that SP walks.

Accumulators lie in SRAM, byte k of a block's in page k. A scan finds the inputs that are not zero;
for each, SP takes the address of its column, and RET enters the column's first run (chains.py: 34 T
an event). Inputs beyond a byte walk their column again for the next byte, on the next page.

Between two such layers the sums stay as they are: the next layer's scan requantizes those that are
active (sums.py, scan_sums.py). Elsewhere inputs are scanned as they lie (scan_dense.py) and outputs
are requantized one after the other (finish.py).

SP is a data pointer while a block is worked on; interrupts are off then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.choice import AGAIN
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import threaded_gaps, threaded_lists
from kernels.encodings.threaded_gaps import Column
from kernels.list_blocks import MIDDLE
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.shared_sums import Merge, Sharing, share
from kernels.z80 import merge, merge_list
from kernels.z80.chains import longest_run
from kernels.z80.columns import Walk
from kernels.z80.fill import copy, fill
from kernels.z80.finish import Finish, is_plain
from kernels.z80.merge import merge_all
from kernels.z80.merge_list import merge_by_list
from kernels.z80.rates import rates
from kernels.z80.requantize import output_constants
from kernels.z80.scan_dense import scan_dense
from kernels.z80.scan_sums import scan_sums
from kernels.z80.scan_sums8 import scan_sums8
from kernels.z80.stack_pointer import borrowed
from kernels.z80.sums import SUMS, ZERO, Block, bytes_added, pages, sums_blocks, sums_stride
from kernels.z80.sums8 import END, SUMS8, Bytes, check_kept, sums8

FORMS = (SUMS8, SUMS)
_EVENT = 37  # T-states, carries included


@emitter(
    "z80",
    Linear,
    threaded_gaps.NAME,
    reads=FORMS,
    writes=FORMS,
    borrows=True,
    profile=("hot", "rates"),
    keeps=True,
)
@emitter(
    "z80",
    Linear,
    threaded_lists.NAME,
    reads=FORMS,
    writes=FORMS,
    borrows=True,
    profile=("rates",),
    keeps=True,
)
def emit(job: Job) -> None:
    """Write the layer, block after block of at most 255 outputs.

    Uses every register but I and R. Stack: two bytes, or none where the output is plain or sums.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    whole = _Layer(job, layer, plan_requantization(layer, job.ranges[layer.input.name]))
    if job.kept:
        whole.write_kept()
    else:
        whole.write()


@dataclass(frozen=True, eq=False, slots=True)
class _Rows:
    """A block's accumulators, int8 (rows, inputs), int64 (rows,), and what is merged of them."""

    weights: NDArray[np.int8]
    starts: NDArray[np.int64]
    merges: tuple[Merge, ...]


@dataclass(frozen=True)
class _Layer:
    job: Job
    layer: Linear
    plan: RequantPlan

    def write(self) -> None:
        job, whole = self.job, self._blocks()
        stride = 256 * pages(self.acc_bytes, self.added)
        # The unit behind the last, a byte that fills a word, and two that no PUSH reaches, so that
        # filling never looks like a stack that overflows into what lies below it.
        rows = [self._rows(block) for block in whole]
        size = stride - 256 + max(len(one.starts) for one in rows) + 3
        if self.job.writes:
            symbol = self.job.output_buffer(stride * (len(whole) - 1) + size, align=256)
        else:
            symbol = job.scratch("acc", size, align=256)
            job.output_buffer(self.layer.output.size + 2)  # out of reach, as above
        first = 0
        for number, (block, own) in enumerate(zip(whole, rows, strict=True)):
            at = f"{symbol}+{stride * number if self.job.writes else 0}"
            with borrowed(self.job, f"b{number}_sp"):
                self._fill(at, own.starts)
                self._scan(f"b{number}", at, own.weights)
                if own.merges:
                    self._merge(f"b{number}", at, own.merges)
                units = range(first, first + len(block.units))
                end = Finish(job, self.layer, self.plan, job.label(f"b{number}_finish"), at, units)
                if self.plain:
                    end.write_plain()
            if not self.plain and not self.job.writes:
                self._finish(number, end)
            first += len(block.units)

    def write_kept(self) -> None:
        """Sums of a byte, with those of the first inputs kept."""
        job = self.job
        check_kept(job)
        rows = [self._rows(block) for block in self._blocks()]
        size = 256 * (len(rows) - 1) + max(len(one.starts) for one in rows) + 3
        sums, kept = job.output_buffer(size, align=256), job.scratch("kept", size, kept=True)
        first, others = np.split(np.arange(self.layer.input.count), [job.kept])
        for number, own in enumerate(rows):
            at, name = f"{sums}+{256 * number}", f"b{number}_kept"
            with borrowed(job, f"{name}_sp"):
                self._fill(at, own.starts)
                self._scan_dense(name, at, own.weights, first)
                copy(job.code, at, f"{kept}+{256 * number}", len(own.starts))
        job.code.emit(f"{job.label(AGAIN)}:")
        for number, own in enumerate(rows):
            at, name = f"{sums}+{256 * number}", f"b{number}"
            with borrowed(job, f"{name}_sp"):
                copy(job.code, f"{kept}+{256 * number}", at, len(own.starts))
                self._scan_dense(name, at, own.weights, others)

    def _blocks(self) -> list[Block]:
        """Blocks of outputs with the values that their sums start at."""
        if self.handed_on:
            return self.handed_on.blocks
        if self.job.writes:
            return sums_blocks(self.layer)
        units = np.arange(len(self.layer.bias))
        starts = np.full(len(units), MIDDLE)
        if self.plain:
            starts = (self.layer.folded_bias + self.plan.how.round_bias) & 0xFFFF
        ends = np.cumsum(blocks(len(units), threaded_lists.BLOCK))[:-1]
        return [Block(part, starts[part]) for part in np.split(units, ends)]

    @property
    def plain(self) -> bool:
        """Whether outputs are the accumulators, shifted."""
        return not self.job.writes and is_plain(self.plan)

    @property
    def handed_on(self) -> Bytes | None:
        """What sums of a byte each are, where they are what is written."""
        if self.job.writes is not SUMS8:
            return None
        return sums8(self.layer, self.job.ranges[self.layer.input.name])

    @property
    def acc_bytes(self) -> int:
        """Bytes of an accumulator in SRAM."""
        return 1 if self.handed_on else self.plan.acc_bytes

    @property
    def shift(self) -> int:
        """How far inputs are shifted as they are added; otherwise sums are, at the end."""
        if self.handed_on:
            return 0
        return self.layer.input_shift if self.job.writes or self.plain else 0

    @property
    def added(self) -> int:
        """The most bytes that an input adds to an accumulator."""
        known = self.job.ranges[self.layer.input.name]
        return bytes_added(known, self.shift, self.acc_bytes) if self.acc_bytes > 1 else 1

    def _rows(self, block: Block) -> _Rows:
        """Outputs, in sums the end behind the last, and sums that outputs share."""
        weights, gap = self.layer.weights[block.units], 1 if self.job.writes else 0
        sharing = Sharing(weights, ())
        if self.acc_bytes == 2:
            room = 256 - len(weights) - gap
            time = merge_list.TIME if self.small else merge.TIME
            sharing = share(weights, rates(self.job, self.layer), time / _EVENT, room)
        given = len(weights)
        end = np.full(gap, END if self.handed_on else ZERO)
        none = np.zeros((gap, weights.shape[1]), np.int8)
        starts = self._starts(sharing, block)
        return _Rows(
            np.concatenate([sharing.weights[:given], none, sharing.weights[given:]]),
            np.concatenate([starts[:given], end, starts[given:]]),
            tuple(one.moved(given, gap) for one in sharing.merges),
        )

    def _starts(self, sharing: Sharing, block: Block) -> NDArray[np.int64]:
        """What sums begin at: fewer carries take more values, which fill more code."""
        if self.small or not sharing.merges:
            return sharing.starts(block.starts, MIDDLE)
        return sharing.middle_starts(block.starts, rates(self.job, self.layer))

    @property
    def small(self) -> bool:
        """Whether bytes count more than T-states."""
        return self.job.choice is not None and self.job.choice.encoding == threaded_gaps.NAME

    def _merge(self, name: str, at: str, merges: Sequence[Merge]) -> None:
        if self.small:
            merge_by_list(self.job, name, merges)
        else:
            merge_all(self.job.code, at, merges)

    def _columns(self, weights: NDArray[np.int8], units: NDArray[np.int64]) -> list[Column]:
        """Columns of some inputs, by their numbers, in the choice's encoding."""
        hot = np.ones(len(units), np.bool_)
        if self.small and self.job.choice:
            hot = np.isin(units, self.job.choice.hot)
        places = set(np.flatnonzero(hot).tolist())
        return threaded_gaps.encode(weights[:, units], longest_run(self.acc_bytes), places)

    def _fill(self, at: str, starts: NDArray[np.int64]) -> None:
        for page in range(self.acc_bytes):
            fill(self.job.code, f"{at}+{256 * page}", (starts >> (8 * page) & 0xFF).tolist())

    def _scan(self, name: str, at: str, weights: NDArray[np.int8]) -> None:
        """Walk the columns of all active inputs, block by block where they are sums."""
        job, source = self.job, self.layer.input
        if not job.reads:
            self._scan_dense(name, at, weights, np.arange(source.count))
            return
        writer = job.writer
        assert isinstance(writer, Linear)
        handed = sums8(writer, job.ranges[writer.input.name]) if job.reads is SUMS8 else None
        stride = 256 if handed else sums_stride(writer, job.ranges)
        for number, block in enumerate(handed.blocks if handed else sums_blocks(writer)):
            columns = self._columns(weights, block.units)
            own = self._walk(f"{name}_i{number}", at, block.units)
            sums = f"{tensor_symbol(source)}+{stride * number}"
            if handed:
                scan_sums8(own, sums, handed, block, columns)
            else:
                scan_sums(own, sums, writer.requantization.shift, columns)

    def _scan_dense(
        self, name: str, at: str, weights: NDArray[np.int8], units: NDArray[np.int64]
    ) -> None:
        """Walk the columns of those of some adjacent inputs that are active."""
        source, columns = self.layer.input, self._columns(weights, units)
        known, first = self.job.ranges[source.name], int(units[0])
        scan_dense(self._walk(name, at, units), source, known, columns, first)

    def _walk(self, name: str, at: str, units: NDArray[np.int64]) -> Walk:
        source = self.layer.input
        part = self.job.ranges[source.name].part(units, source.count)
        return Walk(self.job, name, at, self.acc_bytes, self.added, self.shift, part)

    def _finish(self, number: int, end: Finish) -> None:
        """Any requantization."""
        job, bias = self.job, self.layer.folded_bias - (MIDDLE << self.layer.input_shift)
        constants = job.label(f"b{number}_outputs")
        job.consts.emit(f"{constants}:")
        for unit in end.units:
            job.consts.data(".byte", output_constants(self.plan, bias, unit))
        end.write(constants)
