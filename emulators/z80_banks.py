"""ROM in banks, as large cartridges have it: one always there, any of them behind a window.

Code addresses run on from bank to bank, as the bytes of the ROM do: bank n begins n times a bank's
size behind the first address. In the window the code of any other bank is executed while it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emulators.base import EmulatorError, MemoryMap
from emulators.z80_decode import LONGEST, instruction_length
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

    def code_address(self, pc: int, bank: int) -> int:
        """The code address of what the Z80 sees at `pc` while a bank shows."""
        return self.origin + bank * self.size + pc - self.window.start if pc in self.window else pc

    def holds(self, addresses: range) -> bool:
        """Whether any of them is one of the ROM's."""
        return any(
            addresses.start < part.stop and part.start < addresses.stop
            for part in (self.fixed, self.window)
        )


@dataclass(frozen=True, eq=False)
class Rom:
    """Bytes, uint8, and whether they may be read as data, bool; all are (banks, bytes of a bank).

    executable: in the window, where nothing of bank 0 is, which is executed where it always is.
    """

    banks: Banks
    data: NDArray[np.uint8]
    readable: NDArray[np.bool_]
    executable: NDArray[np.bool_]

    def shown(self, permissions: Permissions, bank: int) -> Permissions:
        """What may be done while a bank shows."""
        window = slice(self.banks.window.start, self.banks.window.stop)
        readable, executable = permissions.readable.copy(), permissions.executable.copy()
        readable[window], executable[window] = self.readable[bank], self.executable[bank]
        return replace(permissions, readable=readable, executable=executable)

    def executes(self, code: bytes) -> bool:
        """Whether these bytes begin at a byte of code."""
        for bank in np.flatnonzero(self.executable.any(axis=1)):
            data, at = self.data[bank].tobytes(), -1
            while (at := data.find(code, at + 1)) >= 0:
                if self.executable[bank, at]:
                    return True
        return False

    @cached_property
    def stops(self) -> NDArray[np.bool_]:
        """Where no instruction may begin, bool: outside code, or where code ends within it."""
        stops = ~self.executable
        for bank in np.flatnonzero(self.executable.any(axis=1)):
            code = self.executable[bank]
            memory = memoryview(self.data[bank].tobytes() + bytes(0x10000 - self.banks.size))
            for last in np.flatnonzero(code & ~np.append(code[1:], False)).tolist():
                for at in range(max(last - LONGEST + 2, 0), last + 1):
                    stops[bank, at] |= at + instruction_length(memory, at) > last + 1
        return stops


def insert(
    banks: Banks, segments: Sequence[tuple[int, bytes]], memory: MemoryMap | None
) -> tuple[Rom, Permissions]:
    """A ROM that holds segments, and what may be done in the 64 KiB but for the window.

    EmulatorError for what lies beyond the banks, for code across their ends, and without a map.
    """
    if memory is None:
        raise EmulatorError("what may be read in banks is only known under a memory map")
    data = np.full(_MOST * banks.size, 0xFF, np.uint8)
    readable, executable = (np.zeros(_MOST * banks.size, np.bool_) for _ in range(2))
    for address, segment in segments:
        data[_within(banks, range(address, address + len(segment)))] = np.frombuffer(
            segment, np.uint8
        )
    for constants in memory.constants:
        readable[_within(banks, constants)] = True
    for code in memory.code:
        within = _within(banks, code)
        if code and within.start // banks.size != (within.stop - 1) // banks.size:
            raise EmulatorError(f"code at {code.start:#x} lies in more than one bank")
        executable[within] = True
    shape = _MOST, banks.size
    fixed = executable[: banks.size].copy()
    executable[: banks.size] = False
    rom = Rom(banks, data.reshape(shape), readable.reshape(shape), executable.reshape(shape))
    return rom, _permissions(rom, fixed, memory)


def _within(banks: Banks, addresses: range) -> slice:
    start, stop = addresses.start - banks.origin, addresses.stop - banks.origin
    if not 0 <= start <= stop <= _MOST * banks.size:
        raise EmulatorError(f"{len(addresses)} bytes at {addresses.start:#x} are outside all banks")
    return slice(start, stop)


def _permissions(rom: Rom, code: NDArray[np.bool_], memory: MemoryMap) -> Permissions:
    """No byte of the ROM can be written; what else may be done in the window is the bank's."""
    whole = MemoryMap((), (rom.banks.fixed, rom.banks.window), memory.data)
    allowed = Permissions.of_map(whole)
    fixed = slice(rom.banks.fixed.start, rom.banks.fixed.stop)
    readable, executable = allowed.readable.copy(), allowed.executable.copy()
    readable[fixed], executable[fixed] = rom.readable[0], code
    return replace(allowed, readable=readable, executable=executable)
