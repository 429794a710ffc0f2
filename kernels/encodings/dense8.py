"""dense8: every weight as one byte, w + 128, in blocks of outputs, input after input.

A kernel holds a block's accumulators in registers, so for each input it finds the weights of all
the block's outputs side by side. Stored with an offset of 128, weights multiply unsigned; the
kernel takes 128 * sum(x) off again, once a layer. Stored with an offset of 0 they are signed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import reads_bytes

NAME = "dense8"
RANK = 3
OFFSET = 128


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Any int8 matrix, any accumulator."""
    return reads_bytes(source)


def encode(weights: NDArray[np.int8], offset: int = OFFSET) -> NDArray[np.uint8]:
    """One block, int8 (outputs, inputs), as uint8 (inputs * outputs,), of w + offset."""
    return (weights.T.astype(np.int16) + offset).astype(np.uint8).ravel()


def decode(data: NDArray[np.uint8], outputs: int, offset: int = OFFSET) -> NDArray[np.int8]:
    """The block of that many outputs back, int8 (outputs, inputs)."""
    return (data.reshape(-1, outputs).astype(np.int16) - offset).astype(np.int8).T
