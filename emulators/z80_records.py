"""What can be recorded of a call from the traces of its steps."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from emulators.base import Profile
from emulators.z80_banks import Banks
from emulators.z80_core import MEMORY_SIZE
from emulators.z80_trace import Trace

READ: Final = 1
WRITTEN: Final = 2


class Ledger:
    """Counts and T-states of the instruction at each address, while each bank shows."""

    def __init__(self, banks: Banks | None) -> None:
        self._banks = banks
        self._sums: dict[int, NDArray[np.int64]] = {}

    def add(self, trace: Trace, counted: int) -> None:
        """Add the first steps of a trace."""
        if trace.bank not in self._sums:
            self._sums[trace.bank] = np.zeros((2, MEMORY_SIZE), np.int64)
        self._sums[trace.bank] += trace.costs(counted)

    def profile(self) -> Profile:
        """What was added so far, by code address."""
        found: dict[int, NDArray[np.int64]] = {}
        for bank, sums in self._sums.items():
            for pc in np.flatnonzero(sums[0]).tolist():
                address = self._banks.code_address(pc, bank) if self._banks else pc
                found[address] = found.get(address, 0) + sums[:, pc]
        pcs = sorted(found)
        counts, cycles = np.array([found[pc] for pc in pcs], np.uint64).reshape(-1, 2).T
        return Profile(np.array(pcs, np.uint32), counts, cycles)


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
