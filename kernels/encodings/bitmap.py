"""bitmap: weights of -1, 0 and 1: a bit for each that is not zero, and for each such a sign.

In blocks of outputs, input after input, eight outputs to a byte of the map, the first in the lowest
bit. The signs of a block are packed without gaps in the map's order, 1 for -1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.bitfields import pack_fields, unpack_fields
from kernels.dtypes import DType
from kernels.encodings import outside, reads_bytes

NAME = "bitmap"
RANK = 6


@dataclass(frozen=True, eq=False, slots=True)
class Bitmap:
    """One block. map: uint8 (inputs * ceil(outputs / 8),); signs: uint8 (ceil(nonzero / 8),)."""

    map: NDArray[np.uint8]
    signs: NDArray[np.uint8]
    outputs: int

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.map) + len(self.signs)


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Weights are in {-1, 0, 1}."""
    return reads_bytes(source) or outside(weights, range(-1, 2))


def encode(weights: NDArray[np.int8]) -> Bitmap:
    """One block, int8 (outputs, inputs)."""
    columns = weights.T
    signs = (columns[columns != 0] < 0).astype(np.uint8)
    filled = pack_fields((columns != 0).astype(np.uint8), 1).ravel()
    return Bitmap(filled, pack_fields(signs, 1), len(weights))


def decode(block: Bitmap) -> NDArray[np.int8]:
    """The block back, int8 (outputs, inputs)."""
    rows = block.map.reshape(-1, -(-block.outputs // 8))
    columns = unpack_fields(rows, 1, block.outputs).astype(np.int8)
    count = int(np.count_nonzero(columns))
    signs = unpack_fields(block.signs, 1, count).astype(np.int8)
    columns[columns != 0] = 1 - 2 * signs
    return columns.T
