"""Products from one table: with F(n) = n (n + 1) / 2, w x = F(w + x) - F(w) - F(x).

F(n) = F(-1 - n), so 256 values serve all n of 9 bits. A table takes two pages: low bytes, then
high bytes. All sums are modulo 2**bits, so only the final accumulator has to fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.emit import Job

HALF = 128


def triangular(n: NDArray[np.int64]) -> NDArray[np.int64]:
    """F(n) = n (n + 1) / 2, int64, of any shape."""
    values: NDArray[np.int64] = n * (n + 1) // 2
    return values


def folded_table(job: Job) -> str:
    """F(n) for n of 0..255, to be looked up by n, or by -1 - n; its symbol."""
    return job.share("triangles", lambda out: _write(out, np.arange(256)), align=256)


def centered_table(job: Job) -> str:
    """F(n) for n of -128..127, to be looked up by n + 128; its symbol."""
    return job.share("triangles_centered", lambda out: _write(out, np.arange(-HALF, HALF)), 256)


def _write(out: Assembly, n: NDArray[np.int64]) -> None:
    values = triangular(n)
    out.data(".byte", [*(values & 0xFF), *(values >> 8)])
