"""threaded-lists: per input column, runs of outputs that add the input, then runs that subtract.

A kernel walks a column with a pointer that brings two bytes at a time, and each run is entered in
unrolled code at the place from which as many events are left as the run has. So runs have a longest
length, and are pairs of indices; where the outputs that add are odd in number, the second byte of
their last pair is the first index of the next run, which is then held already.

For weights in {-2..2}; an output stands twice where its weight is 2 or -2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import outside, reads_bytes

NAME = "threaded-lists"
RANK = 1
LARGEST = 2
ACCUMULATOR_BITS = 24
BLOCK = 255


@dataclass(frozen=True, slots=True)
class Run:
    """Events of one sign. sign: 1 or -1. held: the first index is in `data` of the run before.

    data: the bytes that the run's pairs bring, one more than it has events where it ends within a
    pair: the next run's first index, or 0 where that holds none. last: nothing follows. onward: the
    next run's outputs are on the next page.
    """

    sign: int
    events: int
    held: bool
    last: bool
    data: tuple[int, ...]
    onward: bool = False

    @property
    def pairs(self) -> int:
        """Pairs whose two bytes are both events of this run."""
        return (self.events - self.held) // 2

    @property
    def odd(self) -> bool:
        """Whether one more event is left after the pairs."""
        return (self.events - self.held) % 2 == 1


Column = tuple[Run, ...]


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:
    """Weights are in {-2..2}; kernels keep a page of SRAM for each of at most three bytes."""
    if accumulator_bits > ACCUMULATOR_BITS:
        return f"has accumulators of at most {ACCUMULATOR_BITS} bits"
    return reads_bytes(source) or outside(weights, range(-LARGEST, LARGEST + 1))


def encode(weights: NDArray[np.int8], longest: int) -> list[Column]:
    """Columns of one block, int8 (outputs <= 255, inputs); runs of at most `longest`, even."""
    return [tuple(_runs(column, longest)) for column in weights.T.astype(np.int16)]


def decode(columns: list[Column], outputs: int) -> NDArray[np.int8]:
    """The block of that many outputs back, int8 (outputs, inputs)."""
    weights = np.zeros((outputs, len(columns)), np.int8)
    for number, column in enumerate(columns):
        held: tuple[int, ...] = ()
        for run in column:
            indices = (held if run.held else ()) + run.data
            np.add.at(weights[:, number], list(indices[: run.events]), run.sign)
            held = indices[run.events :]
    return weights


def size(columns: list[Column]) -> int:
    """Bytes that the columns take: an address of two bytes a run, and the runs' data."""
    return sum(2 + len(run.data) for column in columns for run in column)


def _runs(weights: NDArray[np.int16], longest: int) -> Iterator[Run]:
    """The runs of a column; the last one subtracts, be it empty."""
    units = np.arange(len(weights))
    plus: list[int] = np.repeat(units, np.maximum(weights, 0)).tolist()
    minus: list[int] = np.repeat(units, np.maximum(-weights, 0)).tolist()
    while len(plus) > longest:
        yield Run(1, longest, False, False, tuple(plus[:longest]))
        plus = plus[longest:]
    held = False
    if plus:
        odd = len(plus) % 2
        held = bool(odd and minus)
        filler = [minus[0] if held else 0] * odd
        yield Run(1, len(plus), False, False, (*plus, *filler))
    while len(minus) > longest:
        # A held index makes up no pair: the run ends with one.
        events = longest - held
        yield Run(-1, events, held, False, tuple(minus[held:events]))
        minus, held = minus[events:], False
    yield Run(-1, len(minus), held, True, tuple(minus[held:]))
