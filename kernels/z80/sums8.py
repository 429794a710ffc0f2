"""sums8: a tensor between two Linear layers as raw sums of a byte each, where that is enough.

For a layer whose inputs are counts, few together: its sums of weights times counts span less than
256 values, and the common shift of its inputs is no smaller than that of its output. Then

    y = (sum << gain) + q        gain = input_shift - shift, q = bias >> shift, per unit

Sums begin such that those of active units are `threshold` or more: y = (sum - threshold << gain)
+ rest, with a rest per unit of 1 to 2**gain. Behind the last unit lies a sum of 255, the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.dtypes import UINT8
from kernels.emit import Job
from kernels.encodings.threaded_lists import BLOCK
from kernels.errors import Unsupported
from kernels.forms import Form
from kernels.ir import Bounds, Node, Range
from kernels.ops.linear import Linear
from kernels.requant_plan import plan_requantization
from kernels.z80.sums import Block, hands_on

END = 255
_LARGEST_GAIN = 6


@dataclass(frozen=True, eq=False, slots=True)
class Bytes:
    """What writer and reader must know. rests: int64 (units,), in the units' own order."""

    blocks: list[Block]
    rests: NDArray[np.int64]
    threshold: int
    gain: int

    def place(self, unit: int) -> int:
        """Where a unit's sum lies behind the first."""
        for number, block in enumerate(self.blocks):
            found = np.flatnonzero(block.units == unit)
            if found.size:
                return 256 * number + int(found[0])
        raise IndexError(f"there is no unit {unit}")

    @property
    def narrow(self) -> int:
        """The first excess over the threshold of a value beyond a byte, or of the end."""
        return min(((0xFF - int(self.rests.max())) >> self.gain) + 1, END - self.threshold)


def sums8(writer: Linear, known: Range) -> Bytes | None:
    """The sums of a layer whose inputs lie in `known`; None where a byte is not enough."""
    how, gain = writer.requantization, writer.input_shift - writer.requantization.shift
    if not isinstance(known, Bounds) or known.total is None or not 0 <= gain <= _LARGEST_GAIN:
        return None
    if writer.input.dtype != UINT8 or writer.input.zero_point:
        return None
    offset = (writer.folded_bias + how.round_bias) >> how.shift
    first = -((offset - 1) >> gain)  # the least sum of an active unit
    least, most = known.products(writer.weights.astype(np.int64), 0)
    low, high = writer.accumulator_bounds(known)
    if low.min() < -0x8000 or high.max() + how.round_bias > 0x7FFF:
        return None  # what wraps has no bounds
    rests = (first << gain) + offset
    threshold = max(1, int((first - least).max()))
    if threshold + int((most - first).max()) > 0xFF:
        return None
    return Bytes(_blocks(threshold - first), rests, threshold, gain)


def check_kept(job: Job) -> None:
    """Unsupported where a layer that is to keep sums has others than these."""
    if job.writes is not SUMS8:
        raise Unsupported(
            f"{job.node.name}: sums of inputs are kept where they have a byte each, that is if few "
            "counts are promised, and the next layer's kernel reads such sums"
        )


def _blocks(starts: NDArray[np.int64]) -> list[Block]:
    order = np.argsort(starts, kind="stable")
    ends = np.cumsum(blocks(len(order), BLOCK))[:-1]
    return [Block(units, starts[units]) for units in np.split(order, ends)]


def _serves(writer: Node, reader: Node, ranges: Mapping[str, Range]) -> bool:
    """Whether a ReLU is all that requantization does beside shifting, and a byte is enough."""
    if not isinstance(writer, Linear) or not isinstance(reader, Linear):
        return False
    known = ranges[writer.input.name]
    plan = plan_requantization(writer, known)
    return hands_on(plan, reader) and sums8(writer, known) is not None


SUMS8 = Form("sums8", _serves)
