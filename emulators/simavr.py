"""AVR microcontrollers, emulated by simavr: the binding. The run loop is in simavr_loop.c.

simavr counts every base instruction as the manual does. Mended here: the length of a skip over
ADIW or SBIW, accesses outside memory (they reach the host's heap), instructions that a device
lacks (simavr executes them), and the cycles of an interrupt's entry. Not mended: SPM takes 1
cycle, SEI delays an interrupt by two instructions.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulators._simavr import ffi, lib
from emulators.avr_memory import DeviceMemory, check_map, check_segments
from emulators.base import CallResult, EmulatorError, Mark, MemoryMap, StopReason
from emulators.simavr_profile import profile_of, touched_by
from emulators.simavr_table import operations_for_c

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
    lib.STOP_WRITE_TO_CODE: StopReason.WRITE_TO_CODE,
    lib.STOP_BAD_READ: StopReason.BAD_READ,
    lib.STOP_BAD_WRITE: StopReason.BAD_WRITE,
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
    machine = lib.machine_open(mcu.encode(), operations_for_c(mcu))
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

    def load(self, segments: Sequence[tuple[int, bytes]], memory: MemoryMap | None = None) -> None:
        """Reset to a fresh part, EEPROM included, and program (byte address, bytes) into flash.

        memory: what may be executed, read and written; see `emulators.MemoryMap`. Data addresses
        are those of LD and ST, I/O registers included. IN, OUT, LDS and STS may always name SREG,
        SP, RAMPZ and EIND. SPM is not allowed at all. A forbidden access ends the call before it
        is done.
        Without it, what is loaded may be executed, and all addresses that exist used. In either
        case, an instruction that the device lacks ends the call.
        EmulatorError, with the machine as it was, for a segment or range outside the device, and
        for declared code that is not all instructions of the device.
        """
        device = DeviceMemory(self._mcu, self.flash_size, self._device.ram_end + 1)
        check_segments(segments, device)
        if memory is not None:
            check_map(memory, segments, device)
        lib.machine_erase(self._machine)
        for address, data in segments:
            lib.machine_load(self._machine, address, data, len(data))
        if memory is None:
            for address, data in segments:
                lib.machine_set_code(self._machine, address, len(data))
        else:
            self._guard(memory)
        lib.machine_decode(self._machine)

    def _guard(self, memory: MemoryMap) -> None:
        lib.machine_guard(self._machine)
        for declare, ranges in (
            (lib.machine_set_code, memory.code),
            (lib.machine_set_constants, memory.constants),
            (lib.machine_set_data, memory.data),
        ):
            for part in ranges:
                declare(self._machine, part.start, len(part))

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
        touched: bool = False,
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
        if not 1 <= limit < 1 << 63:
            raise EmulatorError(f"the limit must be from 1 to 2**63 - 1 cycles, not {limit}")
        request = ffi.new(
            "struct request *", (address, stack, stack_floor, limit, profile, touched)
        )
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
            profile=profile_of(outcome, self._flash) if profile else None,
            address=None if outcome.address == lib.NO_ADDRESS else outcome.address,
            touched=self._touched(outcome) if touched else None,
        )

    def call_unchecked(self, address: int, *, stack: int) -> int:
        """Call without limit, check or record, and give the cycles: a yardstick of speed only.

        A routine that does not return hangs the process.
        """
        return lib.machine_call_unchecked(self._machine, address, stack)

    @property
    def _flash(self) -> NDArray[np.uint16]:
        flash = ffi.buffer(lib.machine_flash(self._machine), self.flash_size)
        return np.frombuffer(flash, "<u2")

    def _touched(self, outcome: Any) -> NDArray[np.uint8]:
        return touched_by(outcome, self._mcu, self._flash, self._device)

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
