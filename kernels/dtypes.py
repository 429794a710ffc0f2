"""The integer types that tensors have on the device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kernels.bitfields import pack_fields, unpack_fields


@dataclass(frozen=True, slots=True)
class DType:
    """An integer of `bits` bits, little endian in memory; two's complement where signed.

    Elements of less than 8 bits are packed, several to a byte, the first in the lowest bits; what
    is left of a tensor's last byte is zero.
    """

    bits: int
    signed: bool

    @property
    def packed(self) -> bool:
        """Whether a byte holds several elements."""
        return self.bits < 8

    @property
    def size(self) -> int:
        """Bytes an element takes; one for a packed element, once it is unpacked."""
        return -(-self.bits // 8)

    def bytes_for(self, count: int) -> int:
        """Bytes that so many elements take."""
        return -(-count * self.bits // 8)

    @property
    def low(self) -> int:
        """The smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest value."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The type in numpy, little endian, that holds an element."""
        return _numpy(self.signed, self.size)

    def pack(self, values: NDArray[np.integer]) -> bytes:
        """Integers within [low, high], of any shape, as they lie in memory."""
        held = values.ravel().astype(self.numpy)
        if self.packed:
            return pack_fields(held.astype(np.uint8), self.bits).tobytes()
        return held.tobytes()

    def unpack(self, data: bytes, count: int) -> NDArray[np.int64]:
        """The first `count` elements that lie in memory, int64 (count,)."""
        if self.packed:
            return unpack_fields(np.frombuffer(data, np.uint8), self.bits, count).astype(np.int64)
        return np.frombuffer(data, self.numpy, count).astype(np.int64)

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.bits}"


@cache  # asked for at every inference
def _numpy(signed: bool, size: int) -> np.dtype[np.generic]:
    return np.dtype(f"<{'i' if signed else 'u'}{size}")


BIT = DType(1, signed=False)
UINT8 = DType(8, signed=False)
INT8 = DType(8, signed=True)
INT16 = DType(16, signed=True)
BYTES = (UINT8, INT8, INT16)  # those of which no two share a byte
DTYPES = {str(dtype): dtype for dtype in (BIT, *BYTES)}
