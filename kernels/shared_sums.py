"""Shared sums: what two rows of a ternary matrix have in common is added up once.

Where two rows agree in many columns, or are opposite in many, these entries go to a row of their
own whose sum is added to both sums (or subtracted from one) at the end. Pairs are taken greedily,
the most gainful first; shared rows are rows, too, and may share again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_BYTE, _MIDDLE, _STEP, _ROUNDS = 256, 128, 32, 4


@dataclass(frozen=True, slots=True)
class Merge:
    """The sum of row `shared` goes to that of row `one`, and, with a sign, to that of `other`."""

    shared: int
    one: int
    other: int
    sign: int

    def moved(self, given: int, gap: int) -> Merge:
        """The same where shared rows lie `gap` further behind the given ones."""

        def place(row: int) -> int:
            return row + gap if row >= given else row

        return Merge(place(self.shared), place(self.one), place(self.other), self.sign)


@dataclass(frozen=True, eq=False)
class Sharing:
    """weights: int8 (rows, inputs), the given ones first. merges: in the order to do them."""

    weights: NDArray[np.int8]
    merges: tuple[Merge, ...]

    def expanded(self) -> NDArray[np.int8]:
        """The given matrix back, int8 (given rows, inputs)."""
        weights = self.weights.copy()
        for merge in self.merges:
            weights[merge.one] += weights[merge.shared]
            weights[merge.other] += np.int8(merge.sign) * weights[merge.shared]
        return weights[: len(weights) - len(self.merges)]

    def starts(
        self, wanted: NDArray[np.int64], shared: int | NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """What sums begin at, int64 (rows,), if shared rows' begin at `shared`, all or each.

        wanted: what the given rows' would begin at without shared ones, int64 (given rows,).
        """
        each = np.broadcast_to(np.asarray(shared, np.int64), (len(self.merges),))
        return np.concatenate([wanted - self.counts @ each, each])

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How often each shared row is in each given one, int64 (given rows, shared rows)."""
        given = len(self.weights) - len(self.merges)
        counts = np.zeros((len(self.weights), len(self.merges)), np.int64)
        counts[given:] = np.eye(len(self.merges), dtype=np.int64)
        for merge in self.merges:
            counts[merge.one] += counts[merge.shared]
            counts[merge.other] += merge.sign * counts[merge.shared]
        return counts[:given]

    def middle_starts(
        self, wanted: NDArray[np.int64], rates: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """What sums begin at, chosen so that low bytes lie half way up and seldom carry.

        Shared rows are moved one by one while that brings busy rows nearer to the middle. wanted,
        rates: as for `starts` and `share`.
        """
        busy = np.abs(self.weights.astype(np.int64)) @ rates
        given = len(wanted)
        shared = np.full(len(self.merges), _MIDDLE)
        steps = np.arange(0, _BYTE, _STEP)
        for _ in range(_ROUNDS):
            for row in range(len(shared)):
                met = np.flatnonzero(self.counts[:, row])
                rest = wanted[met] - self.counts[met] @ shared
                rest += self.counts[met, row] * shared[row]
                moved = rest[:, np.newaxis] - np.outer(self.counts[met, row], steps)
                cost = busy[met] @ _off_middle(moved) + busy[given + row] * _off_middle(steps)
                shared[row] = steps[cost.argmin()]
        return self.starts(wanted, shared)


def _off_middle(values: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far low bytes lie off the middle, squared, from 0 to 1."""
    off = (values % _BYTE - _MIDDLE) / _MIDDLE
    squared: NDArray[np.float64] = off * off
    return squared


def share(
    weights: NDArray[np.int8],
    rates: NDArray[np.float64],
    merge: float,
    room: int,
    *,
    deeper: float = 0.0,
) -> Sharing:
    """Share rows of int8 (rows, inputs) while that is a gain, at most `room` times.

    rates: how often each input is not zero, (inputs,). merge: what a merge takes, in the unit of an
    entry met by such an input. deeper: what the first merge into a shared row takes on top.
    """
    rows, found = weights.copy(), list[Merge]()
    extra = np.zeros(len(rows))
    same, opposite = _common(rows, rows, rates)
    for shared in range(len(weights), len(weights) + room):
        for common in (same, opposite):
            np.fill_diagonal(common, 0)
        gains = [common - extra - extra[:, np.newaxis] for common in (same, opposite)]
        sign = 1 if gains[0].max() >= gains[1].max() else -1
        best = gains[0] if sign > 0 else gains[1]
        if best.max() <= merge:
            break
        one, other = (int(i) for i in np.unravel_index(best.argmax(), best.shape))
        entries = np.sign(rows[one]) * (rows[one] * rows[other] * sign > 0)
        rows[one] -= entries
        rows[other] -= np.int8(sign) * entries
        rows = np.vstack([rows, entries])
        found.append(Merge(shared, one, other, sign))
        extra[[one, other]] = 0
        extra = np.append(extra, deeper)
        same, opposite = (np.pad(common, (0, 1)) for common in (same, opposite))
        changed = [one, other, shared]
        for common, now in zip((same, opposite), _common(rows[changed], rows, rates), strict=True):
            common[changed] = now
            common[:, changed] = now.T
    return Sharing(rows, tuple(reversed(found)))


def _common(
    some: NDArray[np.int8], rows: NDArray[np.int8], rates: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How often two rows meet with equal and with opposite signs, (some, rows) each."""
    plus, minus = (some > 0) * rates, (some < 0) * rates
    all_plus, all_minus = (rows > 0).T.astype(np.float64), (rows < 0).T.astype(np.float64)
    return plus @ all_plus + minus @ all_minus, plus @ all_minus + minus @ all_plus
