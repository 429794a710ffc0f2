"""Products of integer matrices at the speed of floating point, where that is exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EXACT = ((1 << 24, np.float32), (1 << 53, np.float64))  # below it every integer is one of these


def exact_product(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The matrix product a @ b, int64 (n, k) and (k, m), modulo 2**64.

    numpy multiplies int64 without BLAS, some twenty times slower than float64. Where no partial sum
    can leave what a floating type holds exactly, both give the same.
    """
    peak = min(_peak(a, b, axis) for axis in (0, 1))
    for limit, kind in _EXACT:
        if peak < limit:
            product: NDArray[np.int64] = (a.astype(kind) @ b.astype(kind)).astype(np.int64)
            return product
    return a @ b


def _peak(a: NDArray[np.int64], b: NDArray[np.int64], axis: int) -> int:
    """No partial sum is larger: the largest of one matrix times the largest sum of the other."""
    one, other = (b, a) if axis else (a, b)
    return int(np.abs(one).max(initial=0)) * int(np.abs(other).sum(axis=axis).max(initial=0))
