"""xnor: weights of -1 and 1 as bits, 1 for 1, for inputs that are bits themselves.

Output after output, eight inputs to a byte, the first in the lowest bit, as the input tensor has
them. Where the two bits differ a product counts -1 against the sum of all positive weights:
sum(w * b) = number of positive weights - popcount(weights ^ inputs).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.bitfields import pack_fields, unpack_fields
from kernels.dtypes import BIT, DType
from kernels.encodings import not_binary

NAME = "xnor"
RANK = 0


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Weights are -1 or 1, inputs bits."""
    if source != BIT:
        return f"reads inputs of {BIT}, not of {source}"
    return not_binary(weights)


def encode(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """One block, int8 (outputs, inputs), as uint8 (outputs * ceil(inputs / 8),); zeros fill up."""
    return pack_fields((weights > 0).astype(np.uint8), 1).ravel()


def decode(data: NDArray[np.uint8], inputs: int) -> NDArray[np.int8]:
    """The block of that many inputs back, int8 (outputs, inputs)."""
    bits = unpack_fields(data.reshape(-1, -(-inputs // 8)), 1, inputs)
    return bits.astype(np.int8) * np.int8(2) - np.int8(1)
