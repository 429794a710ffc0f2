"""Unsigned integers of 1, 2 or 4 bits, packed into bytes, the first in the lowest bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pack_fields(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Values (..., n), each below 2**bits, as uint8 (..., ceil(n * bits / 8)); zeros fill up."""
    spread = np.unpackbits(values[..., np.newaxis], axis=-1, count=bits, bitorder="little")
    rows = spread.reshape(*values.shape[:-1], values.shape[-1] * bits)
    return np.packbits(rows, axis=-1, bitorder="little")


def unpack_fields(data: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """The first `count` values of each row back, uint8 (..., count)."""
    spread = np.unpackbits(data, axis=-1, count=count * bits, bitorder="little")
    rows = spread.reshape(*data.shape[:-1], count, bits)
    return np.packbits(rows, axis=-1, bitorder="little")[..., 0]
