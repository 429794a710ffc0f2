"""straight-line: no data at all; every nonzero weight is an instruction of the kernel's own.

What is encoded is the order of these additions: for each input of a block of outputs, which
outputs add it and which subtract it, those of weights of 2 or -2 twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import outside, reads_bytes

NAME = "straight-line"
RANK = 4
LARGEST = 2
ACCUMULATOR_BITS = 24

Addition = tuple[int, int]  # an output of the block, and 1 or -1
Fragment = tuple[Addition, ...]


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:
    """Weights are in {-2..2}; accumulators have at most three bytes."""
    if accumulator_bits > ACCUMULATOR_BITS:
        return f"has accumulators of at most {ACCUMULATOR_BITS} bits"
    return reads_bytes(source) or outside(weights, range(-LARGEST, LARGEST + 1))


def encode(weights: NDArray[np.int8]) -> list[Fragment]:
    """The additions of each input, for weights int8 (outputs, inputs)."""
    return [
        tuple((unit, int(np.sign(w))) for unit, w in enumerate(column) for _ in range(abs(w)))
        for column in weights.T.tolist()
    ]


def decode(fragments: list[Fragment], outputs: int) -> NDArray[np.int8]:
    """The weights back, int8 (outputs, inputs)."""
    weights = np.zeros((outputs, len(fragments)), np.int8)
    for column, fragment in enumerate(fragments):
        for unit, sign in fragment:
            weights[unit, column] += sign
    return weights
