"""What the index-lists kernels of all instruction sets share: blocks of outputs, pages of sums.

Accumulators lie in SRAM, byte k of all of a block in page k, with two sentinels behind them. They
start at 128, half way up the low byte, so that sums of both signs seldom carry; the bias takes it
back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.emit import Job
from kernels.encodings import index_lists
from kernels.encodings.index_lists import Columns
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization

MIDDLE = 0x80


@dataclass(frozen=True)
class ListBlock:
    """One block of a layer's outputs, from number `first` on. pages: symbol of the first page."""

    job: Job
    layer: Linear
    plan: RequantPlan
    columns: Columns
    pages: str
    number: int
    first: int

    def label(self, name: str) -> str:
        """A symbol of this block's own."""
        return self.job.label(f"b{self.number}_{name}")

    @cached_property
    def bias(self) -> NDArray[np.int64]:
        """What is added to a finished sum, of every output of the layer, int64 (out,)."""
        folded: NDArray[np.int64] = self.layer.folded_bias - (MIDDLE << self.layer.input_shift)
        return folded

    def most_active(self, byte: int) -> int:
        """How many inputs can have anything in that byte at once."""
        x = self.job.ranges[self.layer.input.name]
        return x.reaching(1 << (8 * byte), self.layer.input.count)

    def most_events(self, operation: str, byte: int) -> int:
        """How many entries of the lists that "add" or "sub" a byte are met at most, ends included.

        The longest lists, of as many inputs as can be active.
        """
        sign = 1 if operation == "add" else -1
        weights = self.layer.weights[self.first : self.first + self.columns.outputs]
        lengths = np.maximum(sign * weights.astype(np.int64), 0).sum(axis=0) + 1
        return int(np.sort(lengths)[::-1][: self.most_active(byte)].sum())


BlockT = TypeVar("BlockT", bound=ListBlock)


def list_blocks(job: Job, kind: type[BlockT]) -> Iterator[BlockT]:
    """The blocks of a Linear layer, whose pages of scratch serve one after the other."""
    layer = job.node
    assert isinstance(layer, Linear)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    sizes = blocks(len(layer.bias), index_lists.BLOCK)
    pages = job.scratch("acc", 256 * (plan.acc_bytes - 1) + sizes[0] + index_lists.SENTINELS, 256)
    first = 0
    for number, size in enumerate(sizes):
        columns = index_lists.encode(layer.weights[first : first + size])
        yield kind(job, layer, plan, columns, pages, number, first)
        first += size
