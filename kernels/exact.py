"""Products of integer matrices at the speed of floating point, where that is exact."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_EXACT = 1 << 53  # below it every integer is a float64


def exact_product(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The matrix product a @ b, int64 (n, k) and (k, m), modulo 2**64.

    numpy multiplies int64 without BLAS, some twenty times slower than float64. Where no partial sum
    can leave what float64 holds exactly, both give the same.
    """
    peak = int(np.abs(a).max(initial=0)) * int(np.abs(b).sum(axis=0).max(initial=0))
    if peak >= _EXACT:
        return a @ b
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
