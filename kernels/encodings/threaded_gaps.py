"""threaded-gaps: threaded lists whose cold columns are gaps between indices, two in a byte.

A run of gaps begins at an index of its own; each gap of 0 to 15 then leads to the next one. Between
outputs that add and lie further apart, some in between are added, too, and subtracted again by the
run that subtracts, as long as that takes fewer bytes than a new run. Hot columns are lists.

For weights in {-2..2}; an output stands twice where its weight is 2 or -2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.encodings import threaded_lists
from kernels.encodings.threaded_lists import Run, problem

__all__ = ["BLOCK", "NAME", "RANK", "Column", "GapRun", "decode", "encode", "problem", "size"]

NAME = "threaded-gaps"
RANK = 4
BLOCK = threaded_lists.BLOCK
WIDEST = 15
GROUP = 4  # gaps that a kernel reads at a time, the first of them left out if they are fewer
LONGEST = 255 * GROUP
_HEADER = 4


@dataclass(frozen=True, slots=True)
class GapRun:
    """Events of one sign, the first at `first` and `gaps[0]`. last: nothing follows."""

    sign: int
    first: int
    gaps: tuple[int, ...]
    last: bool

    @property
    def groups(self) -> int:
        """Groups of four gaps, the first of which may lack some."""
        return -(-len(self.gaps) // GROUP)

    @property
    def data(self) -> tuple[int, ...]:
        """Two gaps a byte, the lower four bits first; zeros stand in front for what is lacking."""
        padded = (0,) * (self.groups * GROUP - len(self.gaps)) + self.gaps
        return tuple(low + 16 * high for low, high in zip(padded[::2], padded[1::2], strict=True))


Column = tuple[Run | GapRun, ...]


def encode(weights: NDArray[np.int8], longest: int, hot: Collection[int]) -> list[Column]:
    """Columns of one block, int8 (outputs <= 256, inputs); those not hot as gaps.

    longest: of the hot columns' runs. A column of gaps that is no shorter stays a list.
    """
    lists = threaded_lists.encode(weights, longest)
    columns: list[Column] = []
    for number, column in enumerate(lists):
        gaps = tuple(_runs(weights[:, number])) if number not in hot else ()
        columns.append(gaps if gaps and size([gaps]) < size([column]) else column)
    return columns


def decode(columns: Sequence[Column], outputs: int) -> NDArray[np.int8]:
    """The block of that many outputs back, int8 (outputs, inputs)."""
    weights = np.zeros((outputs, len(columns)), np.int8)
    for number, column in enumerate(columns):
        lists = tuple(run for run in column if isinstance(run, Run))
        weights[:, number] = threaded_lists.decode([lists], outputs)[:, 0]
        for run in column:
            if isinstance(run, GapRun):
                indices = run.first + np.cumsum(run.gaps, dtype=np.int64)
                np.add.at(weights[:, number], indices, run.sign)
    return weights


def size(columns: Sequence[Column]) -> int:
    """Bytes that the columns take."""
    return sum(
        (2 if isinstance(run, Run) else _HEADER) + len(run.data)
        for column in columns
        for run in column
    )


def _runs(weights: NDArray[np.int8]) -> Iterator[GapRun]:
    """Runs of gaps that add, then those that subtract; none for a column without the latter."""
    units, counts = np.arange(len(weights)), weights.astype(np.int64)
    plus: list[int] = np.repeat(units, np.maximum(counts, 0)).tolist()
    minus: list[int] = np.repeat(units, np.maximum(-counts, 0)).tolist()
    adding, between = _bridged(plus)
    subtracting = _split(sorted(minus + between))
    if not subtracting:
        return
    for run in adding:
        yield _gap_run(1, run, last=False)
    for number, run in enumerate(subtracting, start=1):
        yield _gap_run(-1, run, last=number == len(subtracting))


def _bridged(indices: list[int]) -> tuple[list[list[int]], list[int]]:
    """Runs without wide gaps, and the indices that were put in between to that end."""
    runs: list[list[int]] = [[]]
    between: list[int] = []
    for index in indices:
        if runs[-1] and index - runs[-1][-1] > WIDEST * (_HEADER + 1):
            runs.append([])
        while runs[-1] and index - runs[-1][-1] > WIDEST:
            between.append(runs[-1][-1] + WIDEST)
            runs[-1].append(between[-1])
        runs[-1].append(index)
    return [part for run in runs if run for part in _split(run)], between


def _split(indices: list[int]) -> list[list[int]]:
    """Runs without wide gaps, none too long."""
    runs: list[list[int]] = []
    for index in indices:
        if not runs or index - runs[-1][-1] > WIDEST or len(runs[-1]) == LONGEST:
            runs.append([])
        runs[-1].append(index)
    return runs


def _gap_run(sign: int, indices: list[int], *, last: bool) -> GapRun:
    return GapRun(sign, indices[0], (0, *np.diff(indices).tolist()), last)
