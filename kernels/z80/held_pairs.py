"""Lists of indices behind each other, popped in pairs, that may be any number of indices long.

SP walks a thread: an address in unrolled additions, from which on as many are left as the list has
indices, then what these pop. Where a list ends within a pair, B holds the next list's first index,
and its additions are entered in the middle of a pair.

Registers: A, D the sum R; HL inputs, in the page H; BC two indices; SP the thread. An index takes
28 T, 27 where R's low byte carries; RET, into each run, 10 T. Code: 11 bytes a pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.emit import Job

_LONGEST = 32  # indices of a run, which a chain has room for; longer lists are several runs
_ADD = "add a,(hl)\njr nc,$+3\ninc d"


@dataclass(frozen=True, slots=True)
class Run:
    """Some indices of a list. held: the first one is in B. odd: the last one is but half a pair.

    pairs: that are whole. data: what is popped.
    """

    held: bool
    pairs: int
    odd: bool
    data: tuple[int, ...]


def runs(lists: Sequence[NDArray[np.uint8]]) -> list[list[Run]]:
    """The runs of each list, none of an empty one; a last pair is filled up with 0."""
    stream, at, held, found = [*np.concatenate(lists).tolist(), 0], 0, False, []
    for indices in lists:
        found.append(list[Run]())
        for first in range(0, len(indices), _LONGEST):
            pairs, odd = divmod(min(len(indices) - first, _LONGEST) - held, 2)
            popped = stream[at : at + 2 * (pairs + odd)]
            found[-1].append(Run(held, pairs, odd == 1, tuple(popped)))
            at, held = at + len(popped), odd == 1
    return found


@dataclass(frozen=True)
class Chain:
    """The unrolled additions of some runs. thread: the name of the jumps into them.

    tails: by name, code that a run may go on with before it returns; "" is none.
    """

    job: Job
    name: str
    thread: str
    tails: Mapping[str, str]

    def entry(self, run: Run, tail: str) -> str:
        """The label to enter a run at."""
        place = f"{'held' if run.held else 'pairs'}{run.pairs}"
        return f"{self._chain(tail, odd=run.odd)}_{place}"

    def _chain(self, tail: str, *, odd: bool) -> str:
        return f"{self.name}_{tail}{'_' if tail else ''}{'odd' if odd else 'even'}"

    def write(self, met: Mapping[tuple[Run, str], int]) -> None:
        """Write what these runs with their tails need, each of which is met so many times."""
        self.job.at_most(self._pop, sum((r.pairs + r.odd) * times for (r, _), times in met.items()))
        seconds = sum((run.pairs + run.held) * times for (run, _), times in met.items())
        self.job.at_most(self._second, seconds)
        self.job.jumps(self.thread, *(self.entry(*one) for one in met))
        for chain in sorted({(tail, run.odd) for run, tail in met}):
            ending = {run: n for (run, tail), n in met.items() if (tail, run.odd) == chain}
            self._unroll(*chain, max(run.pairs for run in ending), sum(ending.values()))

    @property
    def _pop(self) -> str:
        return f"{self.name}_pop"

    @property
    def _second(self) -> str:
        return f"{self.name}_second"

    def _unroll(self, tail: str, odd: bool, pairs: int, times: int) -> None:
        out, chain = self.job.code, self._chain(tail, odd=odd)
        first = f"pop bc ; #{self._pop}\nld l,c\n{_ADD}"
        self.job.at_most(f"{chain}_pairs0", times)
        for left in range(pairs, -1, -1):
            out.emit(f"{chain}_held{left}:\nld l,b ; #{self._second}\n{_ADD}")
            out.emit(f"{chain}_pairs{left}:")
            out.emit(first if left or odd else "")
        out.emit(f"{self.tails[tail]}\nret ; #{self.thread}" if tail else f"ret ; #{self.thread}")
