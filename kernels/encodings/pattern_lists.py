"""pattern-lists: of some rows together, the inputs that have a pattern of weights; for -4..4.

A pattern is what the rows have for one input. Patterns are in the order of a reflected Gray code
that begins with the highest weight everywhere: from one to the next a single row's weight changes,
by one step, so a kernel that adds inputs up, list after list, knows each row's sum by what it had
added whenever the row's weight changed. Inputs that have no weight but 0 are in no list. An index
is a byte: blocks of at most 256 inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import outside

NAME = "pattern-lists"
RANK = 7
LARGEST_BLOCK = 256
LARGEST = 4

Pattern = tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class PatternLists:
    """Some rows of one block of inputs. lists: uint8 arrays, by `patterns(values, rows)`."""

    lists: tuple[NDArray[np.uint8], ...]
    values: range
    rows: int
    inputs: int


@dataclass(frozen=True, slots=True)
class Change:
    """From one pattern to the next. row: whose weight changes. falls: whether by a step down."""

    row: int
    falls: bool


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Weights are in {-4..4}, inputs bytes."""
    if source.bits != 8:
        return f"reads inputs of 8 bits, not of {source}"
    return outside(weights, range(-LARGEST, LARGEST + 1))


def values_of(weights: NDArray[np.int8]) -> range:
    """What weights can be, from the highest down in equal steps of 1, 2 or 4; at least two."""
    low, high = int(weights.min()), int(weights.max())
    gap = int(np.gcd.reduce(np.unique(weights).astype(np.int64) - low))
    step = gap if gap in (2, 4) else 1
    return range(high, min(low, high - step) - 1, -step)


def patterns(values: range, rows: int) -> list[Pattern]:
    """All patterns, in order; the first row changes most often."""
    found: list[Pattern] = [()]
    for _ in range(rows):
        both = found, found[::-1]
        found = [(*p, value) for number, value in enumerate(values) for p in both[number % 2]]
    return found


def changes(values: range, rows: int) -> list[Change]:
    """What lies between each two patterns."""
    found = []
    for before, after in pairwise(patterns(values, rows)):
        (row,) = (row for row in range(rows) if before[row] != after[row])
        found.append(Change(row, before[row] > after[row]))
    return found


def codes(weights: NDArray[np.int8]) -> NDArray[np.int64]:
    """A number for each column's pattern, int64 (..., inputs), of int8 (..., rows, inputs).

    0 where all weights are 0.
    """
    powers = 16 ** np.arange(weights.shape[-2])
    found: NDArray[np.int64] = powers @ weights.astype(np.int64)
    return found


def encode(weights: NDArray[np.int8], values: range) -> PatternLists:
    """Some rows, int8 (rows, inputs <= 256), of weights that are all in `values`."""
    rows, inputs = weights.shape
    held = codes(weights)
    order = codes(np.array(patterns(values, rows), np.int8).T)
    lists = tuple(
        np.flatnonzero((held == code) & (code != 0)).astype(np.uint8) for code in order.tolist()
    )
    return PatternLists(lists, values, rows, inputs)


def decode(block: PatternLists) -> NDArray[np.int8]:
    """The rows back, int8 (rows, inputs)."""
    weights = np.zeros((block.rows, block.inputs), np.int8)
    for pattern, indices in zip(patterns(block.values, block.rows), block.lists, strict=True):
        weights[:, indices] = np.array(pattern, np.int8)[:, np.newaxis]
    return weights
