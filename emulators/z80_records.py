"""What can be recorded of a call from the traces of its steps."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulators.base import Profile
from emulators.z80_core import MEMORY_SIZE
from emulators.z80_trace import Trace

READ: Final = 1
WRITTEN: Final = 2


class Ledger:
    """Counts and T-states of the instruction at each address."""

    def __init__(self) -> None:
        self._counts = np.zeros(MEMORY_SIZE, np.int64)
        self._cycles = np.zeros(MEMORY_SIZE, np.int64)

    def add(self, trace: Trace, counted: int) -> None:
        """Add the first steps of a trace."""
        counts, cycles = trace.costs(counted)
        self._counts += counts
        self._cycles += cycles

    def profile(self) -> Profile:
        """What was added so far."""
        executed = np.flatnonzero(self._counts)
        return Profile(
            executed.astype(np.uint32),
            self._counts[executed].astype(np.uint64),
            self._cycles[executed].astype(np.uint64),
        )


class Touched:
    """Which addresses were read and written as data: uint8 (65536,) of READ | WRITTEN."""

    def __init__(self) -> None:
        self.flags: NDArray[np.uint8] = np.zeros(MEMORY_SIZE, np.uint8)

    def add(self, trace: Trace, counted: int) -> None:
        """Add the first steps of a trace, whose code must not have changed."""
        for steps, addresses in trace.decoded.reads():
            self.flags[addresses[steps < counted]] |= READ
        for steps, addresses in trace.decoded.writes():
            self.flags[addresses[steps < counted]] |= WRITTEN
