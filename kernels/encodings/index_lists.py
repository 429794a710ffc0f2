"""index-lists: per input column, the outputs that add the input, then those that subtract it.

For weights in {-2..2}; an output stands twice where its weight is 2 or -2. Each list ends with a
sentinel, an index that no output has: the kernel keeps a value there which makes the addition
carry, so that only the path taken on a carry has to test for the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import outside, reads_bytes

NAME = "index-lists"
RANK = 2
LARGEST = 2
ACCUMULATOR_BITS = 24
SENTINELS = 2
BLOCK = 256 - SENTINELS


@dataclass(frozen=True, eq=False, slots=True)
class Columns:
    """Lists of a block of outputs. data: uint8; starts: int64 (inputs,), where a column begins.

    plus_end, minus_end: the sentinels, the two indices after the block's last output.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    outputs: int

    @property
    def plus_end(self) -> int:
        """The sentinel of lists that add."""
        return self.outputs

    @property
    def minus_end(self) -> int:
        """The sentinel of lists that subtract."""
        return self.outputs + 1


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:
    """Weights are in {-2..2}; kernels keep a page of SRAM for each of at most three bytes."""
    if accumulator_bits > ACCUMULATOR_BITS:
        return f"has accumulators of at most {ACCUMULATOR_BITS} bits"
    return reads_bytes(source) or outside(weights, range(-LARGEST, LARGEST + 1))


def encode(weights: NDArray[np.int8]) -> Columns:
    """Lists of one block, int8 (outputs <= 254, inputs)."""
    outputs = len(weights)
    columns = [_column(column, outputs) for column in weights.T.astype(np.int16)]
    starts = np.cumsum([0, *(len(column) for column in columns)])[:-1]
    return Columns(np.concatenate(columns).astype(np.uint8), starts, outputs)


def decode(columns: Columns) -> NDArray[np.int8]:
    """The block back, int8 (outputs, inputs)."""
    weights = np.zeros((columns.outputs, len(columns.starts)), np.int8)
    for column, start in enumerate(columns.starts):
        plus, rest = _split(columns.data[start:], columns.plus_end)
        minus, _ = _split(rest, columns.minus_end)
        counts = np.bincount(plus, minlength=columns.outputs) - np.bincount(
            minus, minlength=columns.outputs
        )
        weights[:, column] = counts
    return weights


def _column(weights: NDArray[np.int16], outputs: int) -> NDArray[np.int64]:
    units = np.arange(outputs)
    plus = np.repeat(units, np.maximum(weights, 0))
    minus = np.repeat(units, np.maximum(-weights, 0))
    return np.concatenate([plus, [outputs], minus, [outputs + 1]])


def _split(data: NDArray[np.uint8], end: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    stop = int(np.argmax(data == end))
    return data[:stop], data[stop + 1 :]
