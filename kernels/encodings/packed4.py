"""packed4: weights of -8..7 as w + 8, in blocks of outputs, two outputs of an input to a byte.

Input after input; the even output is in the low half of the byte.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.bitfields import pack_fields, unpack_fields
from kernels.dtypes import DType
from kernels.encodings import outside, reads_bytes

NAME = "packed4"
RANK = 4
BITS = 4
OFFSET = 8


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Weights are in {-8..7}."""
    return reads_bytes(source) or outside(weights, range(-OFFSET, OFFSET))


def encode(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """One block, int8 (outputs, inputs), as uint8 (inputs * ceil(outputs / 2),)."""
    return pack_fields((weights.T + OFFSET).astype(np.uint8), BITS).ravel()


def decode(data: NDArray[np.uint8], outputs: int) -> NDArray[np.int8]:
    """The block of that many outputs back, int8 (outputs, inputs)."""
    rows = data.reshape(-1, -(-outputs * BITS // 8))
    return unpack_fields(rows, BITS, outputs).T.astype(np.int8) - np.int8(OFFSET)
