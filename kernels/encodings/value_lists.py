"""value-lists: per output and value of a weight, the inputs that have it; for weights of -8..7.

Values are counted from the lowest of the block, which needs no list: a kernel adds the sum of all
inputs that many times. Lists go from the highest value down, so a running sum of the inputs met so
far, added once a value, multiplies by it (Horner). An index is a byte: blocks of at most 256
inputs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import outside

NAME = "value-lists"
RANK = 7
LARGEST_BLOCK = 256


@dataclass(frozen=True, eq=False, slots=True)
class ValueLists:
    """One block of inputs. lists: uint8 arrays by output, then by value from the highest down.

    lowest: the value without a list, 0 or less.
    """

    lists: tuple[tuple[NDArray[np.uint8], ...], ...]
    lowest: int
    inputs: int


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Weights are in {-8..7}, inputs bytes."""
    if source.bits != 8:
        return f"reads inputs of 8 bits, not of {source}"
    return outside(weights, range(-8, 8))


def encode(weights: NDArray[np.int8]) -> ValueLists:
    """A block, int8 (outputs, inputs <= 256)."""
    lowest = min(int(weights.min()), 0)
    values = range(max(int(weights.max()), lowest + 1), lowest, -1)
    lists = tuple(
        tuple(np.flatnonzero(row == value).astype(np.uint8) for value in values) for row in weights
    )
    return ValueLists(lists, lowest, weights.shape[1])


def decode(block: ValueLists) -> NDArray[np.int8]:
    """The block back, int8 (outputs, inputs)."""
    weights = np.full((len(block.lists), block.inputs), block.lowest, np.int8)
    for row, lists in zip(weights, block.lists, strict=True):
        for above, indices in enumerate(reversed(lists), start=1):
            row[indices] = block.lowest + above
    return weights
