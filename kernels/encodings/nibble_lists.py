"""nibble-lists: index lists as gaps of 4 bits, two in a byte; hot columns have bytes: faster.

Accumulators have slots. Every fifteenth is a dummy that no output has, where a list may add what it
likes, so the next slot of a list is never more than 15 away. A column is a list of outputs that add
the input, then one of those that subtract it; weights of 2 and -2 stand twice. Each list begins at
slot 0 and ends with a sentinel, as index lists do. Of nibbles the high one comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import outside, reads_bytes
from kernels.grouping import Grouping

NAME = "nibble-lists"
RANK = 5
LARGEST = 2
ACCUMULATOR_BITS = 24
GROUP, OUTPUTS = 15, 14  # slots, and outputs in them
SENTINELS = 2
MARK = 0xFF  # no list of nibbles begins with it
BLOCK = (256 - SENTINELS) // GROUP * OUTPUTS + min((256 - SENTINELS) % GROUP, OUTPUTS - 1)


@dataclass(frozen=True, eq=False, slots=True)
class Column:
    """One input's lists. data: uint8; hot: whether of bytes, as short columns are at any rate."""

    data: NDArray[np.uint8]
    hot: bool


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:
    """Weights are in {-2..2}; kernels keep a page of SRAM for each of at most three bytes."""
    if accumulator_bits > ACCUMULATOR_BITS:
        return f"has accumulators of at most {ACCUMULATOR_BITS} bits"
    return reads_bytes(source) or outside(weights, range(-LARGEST, LARGEST + 1))


def slot_of(output: int) -> int:
    """Where an output's accumulator stands."""
    return output // OUTPUTS * GROUP + output % OUTPUTS


def slots(outputs: int) -> int:
    """Slots of so many outputs, with each whole group's dummy.

    Behind them come the sentinels of adding and of subtracting, neither where a dummy may be met.
    """
    return slot_of(outputs)


def encode(weights: NDArray[np.int8], hot: frozenset[int]) -> list[Column]:
    """One block, int8 (outputs <= 237, inputs)."""
    columns = []
    end = slots(len(weights))
    for number, column in enumerate(weights.T.astype(np.int16)):
        lists = [*_listed(column), end], [*_listed(-column), end + 1]
        data = [pair for listed in lists for pair in _nibbles(listed)]
        of_bytes = [slot for listed in lists for slot in listed]
        fast = number in hot or len(of_bytes) < len(data)
        columns.append(Column(np.array(of_bytes if fast else data, np.uint8), fast))
    return columns


def decode(columns: list[Column], outputs: int) -> NDArray[np.int8]:
    """The block back, int8 (outputs, inputs)."""
    weights = np.zeros((outputs, len(columns)), np.int8)
    for number, column in enumerate(columns):
        rest = column.data.tolist()
        for sign, end in ((1, slots(outputs)), (-1, slots(outputs) + 1)):
            listed, rest = (_read_bytes if column.hot else _read_nibbles)(rest, end)
            for slot in listed:
                if slot % GROUP < OUTPUTS:
                    weights[slot // GROUP * OUTPUTS + slot % GROUP, number] += sign
    return weights


def grouping(weights: NDArray[np.int8]) -> Grouping:
    """Of a group of slots, each list of nibbles that has none of them needs a dummy."""
    return Grouping(OUTPUTS, (np.sign(weights) % 3).astype(np.uint8), 3, _dummies)


def _dummies(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    dummies: NDArray[np.int64] = (counts[1:] == 0).sum(axis=0)
    return dummies


def _listed(column: NDArray[np.int16]) -> list[int]:
    """Slots of what is above zero, as often as it says."""
    counts = np.maximum(column, 0)
    return [slot_of(int(unit)) for unit in np.repeat(np.arange(len(column)), counts)]


def _nibbles(listed: list[int]) -> list[int]:
    gaps: list[int] = []
    here = 0
    for slot in listed:
        while slot - here > (GROUP if gaps else OUTPUTS):  # a first one of 15 is left to the mark
            dummy = (here + 1) // GROUP * GROUP + OUTPUTS  # the next one
            gaps.append(dummy - here)
            here = dummy
        gaps.append(slot - here)
        here = slot
    gaps += [0] * (len(gaps) % 2)
    return [16 * high + low for high, low in zip(gaps[::2], gaps[1::2], strict=True)]


def _read_bytes(data: list[int], end: int) -> tuple[list[int], list[int]]:
    at = data.index(end)
    return data[:at], data[at + 1 :]


def _read_nibbles(data: list[int], end: int) -> tuple[list[int], list[int]]:
    listed: list[int] = []
    here = 0
    for at, pair in enumerate(data):
        for gap in divmod(pair, 16):
            here += gap
            if here == end:
                return listed, data[at + 1 :]
            listed.append(here)
    raise ValueError("a list has no end")
