"""packed1: weights of -1 and 1 as bits, 1 for 1, eight outputs of an input to a byte.

In blocks of outputs, input after input; the first of the eight outputs is in the lowest bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.bitfields import pack_fields, unpack_fields
from kernels.dtypes import DType
from kernels.encodings import not_binary, reads_bytes

NAME = "packed1"
RANK = 3
OFFSET = 1  # a weight is 2 * bit - 1


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Weights are -1 or 1."""
    return reads_bytes(source) or not_binary(weights)


def encode(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """One block, int8 (outputs, inputs), as uint8 (inputs * ceil(outputs / 8),)."""
    return pack_fields((weights.T > 0).astype(np.uint8), 1).ravel()


def decode(data: NDArray[np.uint8], outputs: int) -> NDArray[np.int8]:
    """The block of that many outputs back, int8 (outputs, inputs)."""
    bits = unpack_fields(data.reshape(-1, -(-outputs // 8)), 1, outputs)
    return bits.T.astype(np.int8) * np.int8(2) - np.int8(1)
