"""AVR microcontrollers, emulated by simavr: the binding. The run loop is in simavr_loop.c.

simavr counts every base instruction as the manual does. Mended here: the length of a skip over
ADIW or SBIW, accesses outside memory (they reach the host's heap), and the cycles of an
interrupt's entry. Not mended: SPM takes 1 cycle, SEI delays an interrupt by two instructions. No
instruction set is checked: an ATtiny executes MUL, and reserved opcodes may run silently.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from emulators._simavr import ffi, lib
from emulators.base import CallResult, EmulatorError, Mark, Profile, StopReason

MCUS = (
    "atmega8",
    "atmega16",
    "atmega32",
    "atmega48",
    "atmega88",
    "atmega168",
    "atmega328p",
    "atmega644",
    "atmega1284p",
    "atmega2560",
    "attiny13",
    "attiny84",
    "attiny85",
    "attiny2313",
)

LIBRARY_VERSION: Final = ffi.string(lib.SIMAVR_VERSION).decode()

_REASONS = {
    lib.STOP_RETURNED: StopReason.RETURNED,
    lib.STOP_CYCLE_LIMIT: StopReason.CYCLE_LIMIT,
    lib.STOP_INVALID_OPCODE: StopReason.INVALID_OPCODE,
    lib.STOP_OUTSIDE_CODE: StopReason.OUTSIDE_CODE,
    lib.STOP_BAD_ACCESS: StopReason.BAD_ACCESS,
    lib.STOP_STACK_OVERFLOW: StopReason.STACK_OVERFLOW,
    lib.STOP_STACK_UNBALANCED: StopReason.STACK_UNBALANCED,
    lib.STOP_BREAK: StopReason.BREAK,
    lib.STOP_SLEEP: StopReason.SLEEP,
    lib.STOP_WATCHDOG: StopReason.WATCHDOG,
}

# Terminating a simulated AVR leaks inside the library, so those of dead objects are used again.
_idle: defaultdict[str, list[Any]] = defaultdict(list)


def _open(mcu: str) -> Any:
    """Give a machine that nobody uses."""
    if mcu not in MCUS:
        raise EmulatorError(f"simavr cannot emulate {mcu!r}; choose one of {', '.join(MCUS)}")
    if _idle[mcu]:
        return _idle[mcu].pop()
    machine = lib.machine_open(mcu.encode())
    if machine == ffi.NULL:
        raise EmulatorError(f"this build of libsimavr could not start an {mcu}")
    return machine


class SimAvr:
    """One AVR with its own memory, independent of all others; implements `emulators.Emulator`.

    A call releases the GIL, so several objects may run in threads; one object may not be shared.
    Segments go to flash (code and constants); RAM is filled by `write` and by the program.
    """

    def __init__(self, mcu: str) -> None:
        """mcu: one of `MCUS`, else EmulatorError."""
        self._machine = _open(mcu)
        weakref.finalize(self, _idle[mcu].append, self._machine)
        self._mcu = mcu
        self._device = lib.machine_device(self._machine)
        self._data = ffi.buffer(lib.machine_data(self._machine), self._device.ram_end + 1)
        self.load([])

    @property
    def name(self) -> str:
        """For tables: `atmega328p (simavr 1.6)`."""
        return f"{self._mcu} (simavr {LIBRARY_VERSION})"

    @property
    def flash_size(self) -> int:
        """In bytes."""
        return int(self._device.flash_size)

    @property
    def ram(self) -> range:
        """The addresses of RAM, which begins above the I/O registers."""
        return range(self._device.ram_start, self._device.ram_end + 1)

    def load(self, segments: Sequence[tuple[int, bytes]]) -> None:
        """Reset to a fresh part, EEPROM included, and program (byte address, bytes) into flash.

        What is loaded is what may be executed. EmulatorError, with the machine as it was, for a
        segment outside flash.
        """
        for address, data in segments:
            if address < 0 or address + len(data) > self.flash_size:
                raise EmulatorError(
                    f"{len(data)} bytes at {address:#x} do not fit the {self.flash_size} bytes of "
                    f"flash of the {self._mcu}"
                )
        lib.machine_erase(self._machine)
        for address, data in segments:
            lib.machine_load(self._machine, address, data, len(data))
        lib.machine_decode(self._machine)

    def write(self, address: int, data: bytes) -> None:
        """Write RAM; EmulatorError outside it."""
        self._check_ram(address, len(data))
        self._data[address : address + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        """Read RAM; EmulatorError outside it."""
        self._check_ram(address, size)
        return bytes(self._data[address : address + size])

    def call(
        self,
        address: int,
        *,
        limit: int,
        stack: int,
        stack_floor: int,
        marks: Sequence[int] = (),
        profile: bool = False,
    ) -> CallResult:
        """Call the routine at a byte address of flash; see `emulators.Emulator.call`.

        Registers, flags and peripherals are reset first. The peak is the lowest value of SP; a
        value in between two writes to its halves does not count.
        """
        self._check_stack(stack, stack_floor)
        for pc in (address, *marks):
            self._check_pc(pc)
        for mark in marks:
            if not lib.machine_is_code(self._machine, mark):
                raise EmulatorError(f"the mark {mark:#x} is not the address of loaded code")
        if limit < 1:
            raise EmulatorError(f"a limit of {limit} cycles allows no instruction")
        request = ffi.new("struct request *", (address, stack, stack_floor, limit, profile))
        outcome = ffi.new("struct outcome *")
        self._set_marks(marks, wanted=True)
        stop = lib.machine_call(self._machine, request, outcome)
        self._set_marks(marks, wanted=False)
        if stop == lib.STOP_NO_MEMORY:
            raise MemoryError("too many marks were hit")
        return CallResult(
            cycles=outcome.cycles,
            reason=_REASONS[stop],
            pc=outcome.pc,
            stack_peak=stack - outcome.lowest_sp,
            marks=tuple(Mark(*pair) for pair in _marks(outcome)),
            profile=self._profile(outcome) if profile else None,
        )

    def call_unchecked(self, address: int, *, stack: int) -> int:
        """Call without limit, check or record, and give the cycles: a yardstick of speed only.

        A routine that does not return hangs the process.
        """
        return lib.machine_call_unchecked(self._machine, address, stack)

    def _profile(self, outcome: Any) -> Profile:
        """Copy the cost table, without the words that were not executed."""
        words = self.flash_size // 2
        table = np.frombuffer(ffi.buffer(outcome.costs, 16 * words), dtype=np.uint64)
        counts, cycles = table.reshape(words, 2).T
        executed = np.flatnonzero(counts)
        return Profile((2 * executed).astype(np.uint32), counts[executed], cycles[executed])

    def _set_marks(self, marks: Sequence[int], *, wanted: bool) -> None:
        for mark in marks:
            lib.machine_set_mark(self._machine, mark, wanted)

    def _check_pc(self, pc: int) -> None:
        if pc % 2 or not 0 <= pc < self.flash_size:
            raise EmulatorError(f"no instruction of the {self._mcu} can begin at {pc:#x}")

    def _check_ram(self, address: int, size: int) -> None:
        if size < 0 or address < self.ram.start or address + size > self.ram.stop:
            raise EmulatorError(
                f"{size} bytes at {address:#x} are outside the RAM of the {self._mcu}, "
                f"{self.ram[0]:#x}-{self.ram[-1]:#x}"
            )

    def _check_stack(self, stack: int, stack_floor: int) -> None:
        size = stack - stack_floor + 1
        self._check_ram(stack_floor, size)
        if size < self._device.return_address_size:
            raise EmulatorError(f"a stack of {size} bytes cannot hold a return address")


def _marks(outcome: Any) -> list[tuple[int, int]]:
    """Give (pc, cycle) of each hit."""
    if not outcome.mark_count:
        return []
    raw = np.frombuffer(ffi.buffer(outcome.marks, 16 * outcome.mark_count), dtype=np.uint64)
    pairs: list[tuple[int, int]] = [(pc, cycle) for cycle, pc in raw.reshape(-1, 2).tolist()]
    return pairs
