"""ROM in banks, as large cartridges have it: one always there, any of them behind a window.

Code addresses run on from bank to bank, as the bytes of the ROM do: bank n begins n times a bank's
size behind the first address. Only bank 0 can be executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emulators.base import EmulatorError, MemoryMap
from emulators.z80_guard import Permissions

_MOST = 256  # a register of 8 bits


@dataclass(frozen=True, slots=True)
class Banks:
    """Where banks are, each of the window's size.

    origin: the first address of bank 0. window: where the selected bank shows, bank 0 at first.
    register: addresses of which each selects the bank whose number is written to it.
    """

    origin: int
    window: range
    register: range

    @property
    def size(self) -> int:
        """Bytes of a bank."""
        return len(self.window)

    @property
    def fixed(self) -> range:
        """Where bank 0 is."""
        return range(self.origin, self.origin + self.size)

    def holds(self, addresses: range) -> bool:
        """Whether any of them is one of the ROM's."""
        return any(
            addresses.start < part.stop and part.start < addresses.stop
            for part in (self.fixed, self.window)
        )


@dataclass(frozen=True, eq=False, slots=True)
class Rom:
    """Bytes, uint8, and whether they may be read as data, bool; both (banks, bytes of a bank)."""

    banks: Banks
    data: NDArray[np.uint8]
    readable: NDArray[np.bool_]


def insert(
    banks: Banks, segments: Sequence[tuple[int, bytes]], memory: MemoryMap | None
) -> tuple[Rom, Permissions]:
    """A ROM that holds segments, and what may be done in the 64 KiB but for the window.

    EmulatorError for what lies beyond the banks, for code outside bank 0, and without a map.
    """
    if memory is None:
        raise EmulatorError("what may be read in banks is only known under a memory map")
    data = np.full(_MOST * banks.size, 0xFF, np.uint8)
    readable = np.zeros(_MOST * banks.size, np.bool_)
    for address, segment in segments:
        data[_within(banks, range(address, address + len(segment)))] = np.frombuffer(
            segment, np.uint8
        )
    for constants in memory.constants:
        readable[_within(banks, constants)] = True
    for code in memory.code:
        if code and not (code.start in banks.fixed and code[-1] in banks.fixed):
            raise EmulatorError(f"code at {code.start:#x} lies outside bank 0")
    shape = _MOST, banks.size
    rom = Rom(banks, data.reshape(shape), readable.reshape(shape))
    return rom, _permissions(rom, memory)


def _within(banks: Banks, addresses: range) -> slice:
    start, stop = addresses.start - banks.origin, addresses.stop - banks.origin
    if not 0 <= start <= stop <= _MOST * banks.size:
        raise EmulatorError(f"{len(addresses)} bytes at {addresses.start:#x} are outside all banks")
    return slice(start, stop)


def _permissions(rom: Rom, memory: MemoryMap) -> Permissions:
    """No byte of the ROM can be written; what can be read in the window changes with the bank."""
    allowed = Permissions.of_map(replace(memory, constants=(rom.banks.fixed, rom.banks.window)))
    readable = allowed.readable.copy()
    readable[rom.banks.fixed.start : rom.banks.fixed.stop] = rom.readable[0]
    return replace(allowed, readable=readable)
