"""sums: a tensor between two Linear layers as the raw accumulators, which the reader requantizes.

Low bytes of a block of units in one page, high bytes in the next. An accumulator starts at 0x8000
and its bias, so a unit is active where its high byte has bit 7, but for those that the shift makes
zero. Behind the last unit lies one more, of value 0: active to look at, and the end of the scan.

Units lie in the order of their start values, so that equal ones lie side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.encodings.threaded_lists import BLOCK
from kernels.forms import Form
from kernels.ir import Node, Range
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization

ZERO = 0x8000
LARGEST_SHIFT = 7
_INT16 = Range(-0x8000, 0x7FFF)


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Units that lie in one pair of pages. units: in their order there; starts: their sums' first.

    Both are int64 (units,).
    """

    units: NDArray[np.int64]
    starts: NDArray[np.int64]


def sums_blocks(writer: Linear) -> list[Block]:
    """How a layer's units lie; writer and reader ask here."""
    starts = (ZERO + writer.folded_bias + writer.requantization.round_bias) & 0xFFFF
    order = np.argsort(starts, kind="stable")
    ends = np.cumsum(blocks(len(order), BLOCK))[:-1]
    return [Block(units, starts[units]) for units in np.split(order, ends)]


def bytes_added(known: Range, shift: int, acc_bytes: int) -> int:
    """The most bytes that an input within `known`, shifted left, adds to an accumulator."""
    if known.low < 0:
        return acc_bytes
    return 2 if known.high << shift > 0xFF else 1


def pages(acc_bytes: int, added: int) -> int:
    """Pages of a block: its accumulators', and those that carries of their last bytes reach."""
    return acc_bytes + (acc_bytes - 1 if added > 1 else 0)


def sums_stride(writer: Linear, ranges: Mapping[str, Range]) -> int:
    """Bytes from one block's sums to the next one's."""
    known = ranges[writer.input.name]
    return 256 * pages(2, bytes_added(known, writer.input_shift, 2))


def hands_on(plan: RequantPlan, reader: Linear) -> bool:
    """Whether a reader can requantize: a plain shift of 16 bits and a ReLU."""
    how = plan.how
    return (
        plan.acc_bytes == 2
        and plan.product in _INT16
        and how.is_shift
        and how.shift <= LARGEST_SHIFT
        and how.zero_point == how.low == 0
        and plan.clamp_high is None
        and reader.input_shift == 0
    )


def _serves(writer: Node, reader: Node, ranges: Mapping[str, Range]) -> bool:
    if not isinstance(writer, Linear) or not isinstance(reader, Linear):
        return False
    return hands_on(plan_requantization(writer, ranges[writer.input.name]), reader)


SUMS = Form("sums", _serves)
