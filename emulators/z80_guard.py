"""What a call may touch, as marks on addresses: only accesses to marked ones are called back.

Nothing is decided here. A forbidden access is noted and the machine made to stop soon; the caller
takes the run back and steps through it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import z80
from numpy.typing import NDArray

from emulators.base import EmulatorError, MemoryMap, StopReason

if TYPE_CHECKING:
    from emulators.z80_banks import Rom

_BREAKPOINT = 1 << 0
_READ = 1 << 1
_WRITE = 1 << 2
_SIZE: Final = 0x10000
_ADDRESS = _SIZE - 1
Flags = NDArray[np.bool_]


def flags(ranges: Iterable[range]) -> Flags:
    """Which of the 64 Ki addresses lie in ranges; EmulatorError for what is no address."""
    mask = np.zeros(_SIZE, np.bool_)
    for r in ranges:
        if r.step != 1 or not 0 <= r.start <= r.stop <= _SIZE:
            raise EmulatorError(f"{r} is no range of the 64 KiB of memory")
        mask[r.start : r.stop] = True
    return mask


def _runs(mask: Flags) -> list[tuple[int, int]]:
    """Where it is True, as (start, size)."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).tolist()
    return [(start, stop - start) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


@dataclass(frozen=True, eq=False, slots=True)
class Permissions:
    """What may be done at each address; `data` and `constants` do not overlap `code` or each other.

    guarded: False allows any access, ports included; `executable` counts all the same.
    """

    guarded: bool
    executable: Flags
    constant: Flags
    readable: Flags
    writable: Flags

    @classmethod
    def of_map(cls, memory: MemoryMap) -> Permissions:
        """Raises EmulatorError for a map that contradicts itself."""
        code, data = flags(memory.code), flags(memory.data)
        constant = code | flags(memory.constants)
        if (data & constant).any():
            both = int(np.flatnonzero(data & constant)[0])
            raise EmulatorError(f"{both:#06x} is declared both as data and as code or constant")
        return cls(True, code, constant, data | flags(memory.constants), data)

    @classmethod
    def of_loaded(cls, loaded: Iterable[range]) -> Permissions:
        """All that is loaded may be executed, and everything be read and written."""
        return cls(
            False,
            flags(loaded),
            np.zeros(_SIZE, np.bool_),
            np.ones(_SIZE, np.bool_),
            np.ones(_SIZE, np.bool_),
        )

    def code_runs(self) -> list[tuple[int, int]]:
        """Contiguous code, as (start, size)."""
        return _runs(self.executable)

    def with_stack(self, stack: range) -> Permissions:
        """Allow all accesses to a stack; EmulatorError if it overlaps code or constants."""
        if self.guarded and self.constant[stack.start : stack.stop].any():
            raise EmulatorError("the stack overlaps code or constants")
        here = flags([stack])
        return Permissions(
            self.guarded, self.executable, self.constant, self.readable | here, self.writable | here
        )


class Suspicion(NamedTuple):
    """A forbidden access, at a length of the log. An overflow is only certain if SP fell by 2."""

    log_size: int
    reason: StopReason
    address: int


class Guard:
    """Watches the accesses of a call, and records the lowest written address of its stack.

    Of the stack only what lies below the lowest address so far is watched, so that each byte costs
    one callback at most. Growth below the floor is told from data by SP.
    """

    def __init__(
        self, machine: z80.Z80Machine, memory: memoryview, sp: memoryview, stop: memoryview
    ) -> None:
        self._machine = machine
        self._memory = memory
        self._sp = sp
        self._stop = stop
        self._log = bytearray()
        self._permissions = Permissions.of_loaded([])
        self._laid: tuple[Permissions, range] | None = None
        self._constant = self._writable = b""
        self._floor = self.lowest = 0
        self._below: int | None = None
        self._rom: Rom | None = None
        self.bank = 0
        self.suspicions: list[Suspicion] = []

    def attach(self) -> None:
        """Let the machine call back, until `detach`."""
        self._machine.set_read_callback(self.on_read)
        self._machine.set_write_callback(self.on_write)
        self._machine.set_input_callback(self.on_input)
        self._machine.set_output_callback(self.on_output)

    def insert(self, rom: Rom | None) -> None:
        """Put a ROM in, whose bank 0 shows; its first reads are those of a call."""
        self._rom = rom
        self.select(0)

    def select(self, bank: int) -> None:
        """Show a bank of the ROM in its window, and watch what must not be read of it."""
        self.bank = bank
        if self._rom:
            window = self._rom.banks.window
            self._memory[window.start : window.stop] = self._rom.data[bank].tobytes()
            self._machine.unmark_addrs(window.start, len(window), _READ)
            self._machine.unmark_addrs(window.start, len(window), _BREAKPOINT)
            # Fetches are reads to the library, so reads of code cannot be marked.
            unread = ~(self._rom.readable[bank] | self._rom.executable[bank])
            for mask, mark in ((unread, _READ), (self._rom.stops[bank], _BREAKPOINT)):
                for start, size in _runs(mask):
                    self._machine.mark_addrs(window.start + start, size, mark)

    def shown(self, permissions: Permissions) -> Permissions:
        """What may be done now, given what may be done but for the window."""
        return self._rom.shown(permissions, self.bank) if self._rom else permissions

    def is_code(self, permissions: Permissions, pc: int) -> bool:
        """Whether an address can be executed now."""
        if self._rom and pc in self._rom.banks.window:
            return bool(self._rom.executable[self.bank, pc - self._rom.banks.window.start])
        return bool(permissions.executable[pc])

    def code_address(self, pc: int) -> int:
        """The code address of what shows at an address now."""
        return self._rom.banks.code_address(pc, self.bank) if self._rom else pc

    def memory_now(self) -> memoryview:
        """What holds the code that is executed until another bank shows."""
        return memoryview(bytes(self._memory)) if self._rom else self._memory

    def lay(self, permissions: Permissions, stack: range) -> None:
        """Mark what a call with this stack must not touch; free if nothing changed."""
        if self._laid == (permissions, stack):
            return
        allowed = permissions.with_stack(stack)
        self._laid = permissions, stack
        self._permissions = allowed
        self._constant, self._writable = allowed.constant.tobytes(), allowed.writable.tobytes()
        self._machine.unmark_addrs(0, _SIZE, _READ | _WRITE)
        self._mark(~(allowed.readable | allowed.executable), _READ)
        self._mark(~allowed.writable, _WRITE)
        self.select(self.bank)
        self._floor = self.lowest = stack.start
        below = (stack.start - 1) & _ADDRESS
        self._below = None if below in stack else below

    def _mark(self, mask: Flags, mark: int) -> None:
        for start, size in _runs(mask):
            self._machine.mark_addrs(start, size, mark)

    def start(self, lowest: int) -> None:
        """Begin a call whose stack is in use from `lowest` upwards."""
        self.rewind(lowest)
        if self._below is not None:
            self._machine.mark_addrs(self._below, 1, _WRITE)

    def rewind(self, lowest: int) -> None:
        """Go back to when `lowest` was the lowest written address."""
        self.lowest = lowest
        self.suspicions.clear()
        self._machine.mark_addrs(self._floor, self.lowest - self._floor, _WRITE)

    def start_log(self, log: bytearray) -> None:
        """Note suspicions by the length of a log from now on."""
        self._log = log

    def write_reason(self, address: int) -> StopReason | None:
        """Why an address must not be written, if so."""
        if self._writable[address]:
            return None
        return StopReason.WRITE_TO_CODE if self._constant[address] else StopReason.BAD_WRITE

    def on_write(self, address: int, value: int) -> None:
        """Do the write in the library's stead, which calls this for marked addresses only."""
        if self._rom and address in self._rom.banks.register:
            self.select(value)
            return
        if self._writable[address]:
            self._memory[address] = value
        if self._floor <= address < self.lowest:
            self._machine.unmark_addrs(address, self.lowest - address, _WRITE)
            self.lowest = address
        # PUSH, CALL and RST lower SP only after both of their writes.
        elif address == self._below and (self._sp[0] - address) & _ADDRESS in (1, 2):
            self._suspect(StopReason.STACK_OVERFLOW, address)
        elif reason := self.write_reason(address):
            self._suspect(reason, address)

    def on_read(self, address: int) -> int:
        """Read in the library's stead."""
        self._suspect(StopReason.BAD_READ, address)
        return self._memory[address]

    def on_input(self, port: int) -> int:
        """Read a port; none exists."""
        self._on_port(port)
        return 0xFF

    def on_output(self, port: int, value: int) -> None:  # noqa: ARG002 (the library's signature)
        """Write a port; none exists."""
        self._on_port(port)

    def _on_port(self, port: int) -> None:
        if self._permissions.guarded:
            self._suspect(StopReason.BAD_ACCESS, port)

    def _suspect(self, reason: StopReason, address: int) -> None:
        self.suspicions.append(Suspicion(len(self._log), reason, address))
        self._stop[0] = 1


def detach(machine: z80.Z80Machine) -> None:
    """Make a machine forget its guard."""
    machine.set_read_callback(_give_zero)
    machine.set_write_callback(_ignore)
    machine.set_input_callback(_give_zero)
    machine.set_output_callback(_ignore)


def _give_zero(address: int) -> int:  # noqa: ARG001 (the library's signature)
    return 0


def _ignore(address: int, value: int) -> None:
    pass
