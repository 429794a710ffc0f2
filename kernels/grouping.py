"""Which rows of a matrix go well together, where they are worked on in groups of equal size.

1. An encoding says what the elements of a column within a group cost, by how many are of each kind.
2. Row by row, the swap with a row of another group that saves most is made.
3. Sweeps are made until none saves anything, or work has been done for about a second.
4. Where groups go by twos, and it matters to an encoding which of them comes first, the costlier
   half of the groups and the rest take turns.

Costs are small integers, so the outcome is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SWEEPS = 8
WORK = 400_000_000  # products


@dataclass(frozen=True, eq=False, slots=True)
class Grouping:
    """Groups of `size` rows. kinds: of each element a number from 0, uint8 (rows, columns).

    count: how many kinds there are. Rows that the last group lacks are of kind 0.
    cost: from how many elements of each kind a column has in a group, int64 (kinds, ...), what it
    costs, int64 (...). by_turns: whether every second group is to be one of those that cost less.
    """

    size: int
    kinds: NDArray[np.uint8]
    count: int
    cost: Callable[[NDArray[np.int64]], NDArray[np.int64]]
    by_turns: bool = False


def arrange(grouping: Grouping) -> NDArray[np.int64]:
    """An order of the rows, int64 (rows,), of which each `size` in a row are a group."""
    return _Arranger(grouping).order()


class _Arranger:
    """Rows in groups. `own`: of each row its kinds, one-hot, (rows, kinds * columns).

    `joined`: of each row what its group would cost without it and with an element of each kind in
    its place, laid out alike, so that a product tells what a swap costs.
    """

    def __init__(self, grouping: Grouping) -> None:
        self.grouping = grouping
        rows = len(grouping.kinds)
        self.groups = np.arange(rows) // grouping.size
        kinds = np.arange(grouping.count)[:, np.newaxis]
        own = grouping.kinds[:, np.newaxis, :] == kinds  # (rows, kinds, columns)
        self.counts = np.stack([own[self.groups == g].sum(0) for g in range(self.groups[-1] + 1)])
        self.counts[-1, 0] += len(self.counts) * grouping.size - rows
        self.own = own.reshape(rows, -1).astype(np.float32)
        self.joined = np.zeros_like(self.own)
        self.now = np.zeros(len(self.counts), np.int64)
        self.sweeps = min(SWEEPS, WORK // max(1, rows * self.own.size))
        for group in range(len(self.counts)):
            self._refresh(group)

    def order(self) -> NDArray[np.int64]:
        """Sweep until nothing is gained."""
        for _ in range(self.sweeps):
            if not sum(self._improve(row) for row in range(len(self.own))):
                break
        groups = self._by_turns()[self.groups] if self.grouping.by_turns else self.groups
        return np.argsort(groups, kind="stable")

    def _by_turns(self) -> NDArray[np.int64]:
        """The place of each group; the last one, which may have fewer rows, stays where it is."""
        places = np.arange(len(self.now))
        dearest = np.argsort(-self.now[:-1], kind="stable")
        places[dearest] = np.concatenate([places[:-1:2], places[1:-1:2]])
        return places

    def _improve(self, row: int) -> bool:
        """Make the best swap of a row; whether there is one."""
        group = self.groups[row]
        before = self.now[group] + self.now[self.groups]
        after = self.own @ self.joined[row] + self.joined @ self.own[row]
        saved = np.where(self.groups == group, 0, before - after.astype(np.int64))
        other = int(saved.argmax())
        if saved[other] <= 0:
            return False
        theirs = self.groups[other]
        change = (self.own[other] - self.own[row]).reshape(self.counts[0].shape).astype(np.int64)
        self.counts[group] += change
        self.counts[theirs] -= change
        self.groups[row], self.groups[other] = theirs, group
        self._refresh(group)
        self._refresh(theirs)
        return True

    def _refresh(self, group: int) -> None:
        """Costs of a group, and of it with another row in place of each."""
        members = np.flatnonzero(self.groups == group)
        count, cost = self.grouping.count, self.grouping.cost
        self.now[group] = cost(self.counts[group]).sum()
        without = self.counts[group] - self.own[members].reshape(len(members), count, -1).astype(
            np.int64
        )
        for kind in range(count):
            joined = without.copy()
            joined[:, kind] += 1
            place = self.joined[members].reshape(len(members), count, -1)
            place[:, kind] = cost(joined.swapaxes(0, 1))
            self.joined[members] = place.reshape(len(members), -1)
