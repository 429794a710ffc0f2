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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import threaded_lists
from kernels.errors import Unsupported
from kernels.list_blocks import MIDDLE
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.chains import longest_run
from kernels.z80.columns import Walk
from kernels.z80.fill import fill
from kernels.z80.finish import Finish, is_plain
from kernels.z80.requantize import output_constants
from kernels.z80.scan_dense import scan_dense
from kernels.z80.scan_sums import scan_sums
from kernels.z80.stack_pointer import borrowed, may_borrow
from kernels.z80.sums import SUMS, ZERO, Block, bytes_added, pages, sums_blocks, sums_stride


@emitter("z80", Linear, threaded_lists.NAME, reads=(SUMS,), writes=(SUMS,))
def emit(job: Job) -> None:
    """Write the layer, block after block of at most 255 outputs.

    Uses every register but I and R. Stack: two bytes, or none where the output is plain or sums.
    Raises Unsupported where SP must stay a stack pointer.
    """
    layer = job.node
    assert isinstance(layer, Linear)
    if not may_borrow(job.target):
        raise Unsupported(
            f"{layer.name}: {threaded_lists.NAME} borrows the stack pointer, and interrupts are "
            f"served on {job.target.name}: use index-lists"
        )
    _Layer(job, layer, plan_requantization(layer, job.ranges[layer.input.name])).write()


@dataclass(frozen=True)
class _Layer:
    job: Job
    layer: Linear
    plan: RequantPlan

    def write(self) -> None:
        whole = self._blocks()
        stride = 256 * pages(self.plan.acc_bytes, self.added)
        # The unit behind the last, a byte that fills a word, and two that no PUSH reaches, so that
        # filling never looks like a stack that overflows into what lies below it.
        size = stride - 256 + max(len(block.units) for block in whole) + 4
        if self.job.writes:
            symbol = self.job.output_buffer(stride * (len(whole) - 1) + size, align=256)
        else:
            symbol = self.job.scratch("acc", size, align=256)
        first = 0
        for number, block in enumerate(whole):
            at = f"{symbol}+{stride * number if self.job.writes else 0}"
            with borrowed(self.job, f"b{number}_sp"):
                self._fill(at, block)
                self._scan(f"b{number}", at, self.layer.weights[block.units])
            if not self.job.writes:
                self._finish(number, at, range(first, first + len(block.units)))
            first += len(block.units)

    def _blocks(self) -> list[Block]:
        """Blocks of outputs with the values that their sums start at."""
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
    def shift(self) -> int:
        """How far inputs are shifted as they are added; otherwise sums are, at the end."""
        return self.layer.input_shift if self.job.writes or self.plain else 0

    @property
    def added(self) -> int:
        """The most bytes that an input adds to an accumulator."""
        known = self.job.ranges[self.layer.input.name]
        return bytes_added(known, self.shift, self.plan.acc_bytes)

    def _fill(self, at: str, block: Block) -> None:
        """Start values, and in sums the unit behind the last."""
        values = [*block.starts.tolist(), ZERO] if self.job.writes else block.starts.tolist()
        for page in range(self.plan.acc_bytes):
            page_bytes = [value >> (8 * page) & 0xFF for value in values]
            fill(self.job.code, f"{at}+{256 * page}", page_bytes)

    def _scan(self, name: str, at: str, weights: NDArray[np.int8]) -> None:
        """Walk the columns of all active inputs, block by block where they are sums."""
        job, source, acc_bytes = self.job, self.layer.input, self.plan.acc_bytes
        longest = longest_run(acc_bytes)
        if not job.reads:
            walk = Walk(job, name, at, acc_bytes, self.added, self.shift)
            columns = threaded_lists.encode(weights, longest)
            scan_dense(walk, source, job.ranges[source.name], columns)
            return
        assert isinstance(job.writer, Linear)
        stride, shift = sums_stride(job.writer, job.ranges), job.writer.requantization.shift
        for number, block in enumerate(sums_blocks(job.writer)):
            walk = Walk(job, f"{name}_i{number}", at, acc_bytes, self.added, self.shift)
            columns = threaded_lists.encode(weights[:, block.units], longest)
            scan_sums(walk, f"{tensor_symbol(source)}+{stride * number}", shift, columns)

    def _finish(self, number: int, at: str, units: range) -> None:
        job = self.job
        end = Finish(job, self.layer, self.plan, job.label(f"b{number}_finish"), at, units)
        if self.plain:
            end.write_plain()
            return
        bias = self.layer.folded_bias - (MIDDLE << self.layer.input_shift)
        constants = job.label(f"b{number}_outputs")
        job.consts.emit(f"{constants}:")
        for unit in units:
            job.consts.data(".byte", output_constants(self.plan, bias, unit))
        end.write(constants)
