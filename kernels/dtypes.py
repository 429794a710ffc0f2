"""The integer types that tensors have on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class DType:
    """An integer of `bits` bits, little endian in memory; two's complement where signed."""

    bits: int
    signed: bool

    @property
    def size(self) -> int:
        """Bytes an element takes."""
        return self.bits // 8

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
        """The same type in numpy, little endian."""
        return np.dtype(f"<{'i' if self.signed else 'u'}{self.size}")

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.bits}"


UINT8 = DType(8, signed=False)
INT8 = DType(8, signed=True)
INT16 = DType(16, signed=True)
DTYPES = {str(dtype): dtype for dtype in (UINT8, INT8, INT16)}
