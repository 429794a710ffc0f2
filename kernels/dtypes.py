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
        return self._held(values.ravel()).tobytes()

    def pack_rows(self, values: NDArray[np.integer]) -> list[bytes]:
        """The same of each row of integers (rows, n)."""
        return [row.tobytes() for row in self._held(values)]

    def unpack(self, data: bytes, count: int) -> NDArray[np.int64]:
        """The first `count` elements that lie in memory, int64 (count,)."""
        return self.unpack_rows(data[: self.bytes_for(count)], 1, count).reshape(count)

    def unpack_rows(self, data: bytes, rows: int, count: int) -> NDArray[np.int64]:
        """So many rows of `count` elements each, each as it lies in memory, int64 (rows, count)."""
        if self.packed:
            fields = np.frombuffer(data, np.uint8).reshape(rows, -1)
            return unpack_fields(fields, self.bits, count).astype(np.int64)
        return np.frombuffer(data, self.numpy).reshape(rows, count).astype(np.int64)

    def _held(self, values: NDArray[np.integer]) -> NDArray[np.generic]:
        """As arrays of what memory holds, along the last axis."""
        held = values.astype(self.numpy)
        return pack_fields(held.astype(np.uint8), self.bits) if self.packed else held

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
