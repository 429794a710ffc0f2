"""What the run loop counted and noted, as arrays."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulators._simavr import ffi, lib
from emulators.base import Profile
from emulators.simavr_table import operations

_NOTED: Final = 0x10000  # bytes of data memory


def profile_of(outcome: Any, flash: NDArray[np.uint16]) -> Profile:
    """Copy the cost table, without the words of `flash` that were not executed."""
    counts, cycles = _costs(outcome, flash)
    executed = np.flatnonzero(counts)
    return Profile((2 * executed).astype(np.uint32), counts[executed], cycles[executed])


def touched_by(outcome: Any, mcu: str, flash: NDArray[np.uint16], device: Any) -> NDArray[np.uint8]:
    """Which bytes of data memory were read (1) and written (2), uint8 up to the end of RAM."""
    noted = np.frombuffer(ffi.buffer(outcome.touched, _NOTED), np.uint8)
    flags = _touched(noted, device.return_address_size)
    _add_fixed(flags, np.flatnonzero(_costs(outcome, flash)[0]), flash, mcu)
    return flags[: device.ram_end + 1]


def _costs(outcome: Any, flash: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Counts and cycles, uint64 (2, words of flash)."""
    costs = ffi.buffer(outcome.costs, 16 * flash.size)
    return np.frombuffer(costs, np.uint64).reshape(flash.size, 2).T


def _touched(noted: NDArray[np.uint8], return_address_size: int) -> NDArray[np.uint8]:
    """Tell which bytes were read (1) and written (2) at addresses that instructions formed."""
    written = noted & (lib.MAY_WRITE | lib.MAY_PUSH) != 0
    read = noted & lib.MAY_READ != 0
    for byte in range(return_address_size):
        written |= np.roll(noted & lib.MAY_CALL != 0, -byte)
        read |= np.roll(noted & lib.MAY_RETURN != 0, byte)
    flags: NDArray[np.uint8] = read.astype(np.uint8) | written.astype(np.uint8) << 1
    return flags


def _add_fixed(
    flags: NDArray[np.uint8], executed: NDArray[np.int64], flash: NDArray[np.uint16], mcu: str
) -> None:
    """Add what IN, OUT, LDS and the like touched, which the loop does not note."""
    table = operations(mcu)[flash[executed]]
    fixed = table["traits"] & lib.FIXED != 0
    words, table = executed[fixed], table[fixed]
    second = flash[(words + 1) % flash.size]
    addresses = np.where(table["traits"] & lib.LONG, second, table["offset"])
    for need, flag in ((lib.MAY_READ, 1), (lib.MAY_WRITE, 2)):
        flags[addresses[table["need"] & need != 0]] |= flag
