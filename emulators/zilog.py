"""The Z80, emulated by PyPI's `z80`: 64 KiB of RAM, no devices but banks, interrupts off.

Every opcode does something fixed on a Z80, so none counts as invalid: undocumented ones work, and
those without a function are NOPs of 8 T. EI, DI and IM only set flags, since nothing interrupts.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from emulators.base import CallResult, EmulatorError, MemoryMap
from emulators.z80_banks import Banks, Rom, insert
from emulators.z80_call import Run
from emulators.z80_core import MEMORY_SIZE, Core
from emulators.z80_decode import LONGEST, instruction_length
from emulators.z80_guard import Permissions
from emulators.z80_records import Ledger, Touched
from emulators.z80_trace import Bounds

_RETURN_ADDRESS_SIZE = 2
_LD_R_A = b"\xed\x4f"


class Z80:
    """One Z80 with its own 64 KiB; implements `emulators.Emulator`.

    It holds the GIL while it runs: use processes, not threads.

    What a memory map forbids is found at full speed, but for one thing: to the library a fetch is a
    read like any other, so a read of code as data ends only calls that are traced, as those with a
    profile are. IN and OUT are faults under a map (BAD_ACCESS, with the port); without one IN gives
    0xFF. An instruction at fault counts, and leaves memory as it was before it.
    """

    def __init__(self, *, m1_wait: int = 0, banks: Banks | None = None) -> None:
        """m1_wait: T-states that the machine adds to each M1 cycle (fetch of an opcode or prefix).

        MSX has one. They are part of all cycles: of limits, marks and profiles, too. Calls without
        a memory map, or of code that holds LD R,A, are then traced, hence slow.

        banks: of a ROM that images go to, at code addresses that run on from bank to bank; data
        addresses are those that the Z80 sees. A load then needs a memory map.
        """
        if m1_wait < 0:
            raise EmulatorError(f"{m1_wait} wait states are less than none")
        self._m1_wait = m1_wait
        self._banks = banks
        self._core = Core(m1_wait)
        self.load([], MemoryMap((), (), ()) if banks else None)

    @property
    def name(self) -> str:
        """For tables: `z80 (z80 1.2.0)`."""
        waits = f" + {self._m1_wait} T per M1" if self._m1_wait else ""
        return f"z80{waits} (z80 {version('z80')})"

    def load(self, segments: Sequence[tuple[int, bytes]], memory: MemoryMap | None = None) -> None:
        """Zero the machine and place (address, bytes); see `emulators.Emulator.load`.

        EmulatorError, with the machine as it was, for a segment or a range outside the 64 KiB, for
        data that is declared code or constant as well, or if no byte is free of code: the address
        to return to must not be code.
        """
        rom = None
        if self._banks:
            rom, permissions = insert(self._banks, segments, memory)
            segments = [(self._banks.origin, rom.data[0].tobytes())]
        else:
            permissions = _permissions(segments, memory)
        return_address = permissions.executable.tobytes().rfind(0)
        if return_address < 0:
            raise EmulatorError("code fills all 64 KiB; one byte must stay free")
        self._permissions, self._return_address = permissions, return_address
        self._code_runs = permissions.code_runs()
        self._core.erase()
        for start, size in self._code_runs:
            self._core.allow(start, size)
        for address, data in segments:
            self._core.memory[address : address + len(data)] = data
        self._core.guard.insert(rom)
        self._rom: Rom | None = rom

    def write(self, address: int, data: bytes) -> None:
        """Write memory; EmulatorError outside the 64 KiB, and in a ROM of banks."""
        _check_range(address, len(data))
        if self._banks and self._banks.holds(range(address, address + len(data))):
            raise EmulatorError(f"{len(data)} bytes at {address:#x} are not all RAM")
        self._core.memory[address : address + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        """Read memory; EmulatorError outside the 64 KiB."""
        _check_range(address, size)
        return bytes(self._core.memory[address : address + size])

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
        """Call the routine; see `emulators.Emulator.call`.

        touched: the instruction at fault counts, too; EmulatorError without a memory map, since
        code might change then.
        All registers but SP are zero. The peak reaches down to the lowest byte written within the
        stack, so SP may serve as a data pointer elsewhere. An overflow is a PUSH, CALL or RST that
        writes the byte below `stack_floor`, be that declared data or not. A profile and
        `touched` trace the call, which takes some twenty times as long.
        """
        self._check_call(address, limit, stack, stack_floor, marks)
        if touched and not self._permissions.guarded:
            raise EmulatorError("what is touched is only known under a memory map")
        core, sp = self._core, stack - 1
        core.guard.lay(self._permissions, range(stack_floor, stack + 1))
        core.enter(address, sp)
        self.write(sp, self._return_address.to_bytes(_RETURN_ADDRESS_SIZE, "little"))
        core.guard.start(sp)
        balanced_sp = (sp + _RETURN_ADDRESS_SIZE) % MEMORY_SIZE
        bounds = Bounds(self._permissions, self._return_address, balanced_sp, limit, 0)
        ledger = Ledger(self._banks) if profile else None
        notes = Touched() if touched else None
        run = Run(
            core,
            bounds,
            frozenset(marks),
            self._m1_wait,
            records=[record for record in (ledger, notes) if record],
            tracing=self._m1_wait > 0 and self._may_write_r(),
        )
        breakpoints = {*marks, *self._cut_instructions()}
        for pc in breakpoints:
            core.set_breakpoint(pc)
        try:
            reason, pc, accessed = run.to_end()
        finally:
            for pc_of_break in breakpoints:
                core.allow(pc_of_break, 1)
        return CallResult(
            cycles=run.cycles,
            reason=reason,
            pc=core.guard.code_address(pc),
            stack_peak=stack - core.guard.lowest + 1,
            marks=tuple(run.marks),
            profile=ledger.profile() if ledger else None,
            address=accessed,
            touched=notes.flags if notes else None,
        )

    def _check_call(
        self, address: int, limit: int, stack: int, stack_floor: int, marks: Sequence[int]
    ) -> None:
        _check_range(address, 1)
        _check_range(stack_floor, stack - stack_floor + 1)
        if stack - stack_floor + 1 < _RETURN_ADDRESS_SIZE:
            raise EmulatorError("a stack of less than 2 bytes cannot hold a return address")
        if limit < 1:
            raise EmulatorError(f"a limit of {limit} cycles allows no instruction")
        for mark in marks:
            if not 0 <= mark < MEMORY_SIZE or not self._permissions.executable[mark]:
                raise EmulatorError(f"the mark {mark:#x} is not the address of loaded code")

    def _may_write_r(self) -> bool:
        """Whether LD R,A may be executed, for all we know."""
        if not self._permissions.guarded:
            return True
        if self._rom and self._rom.executes(_LD_R_A):
            return True
        memory = bytes(self._core.memory)
        at = memory.find(_LD_R_A)
        while at >= 0 and not self._permissions.executable[at]:
            at = memory.find(_LD_R_A, at + 1)
        return at >= 0

    def _cut_instructions(self) -> list[int]:
        """Where code has room for the beginning of an instruction only."""
        if not self._permissions.guarded:
            return []
        memory, executable = self._core.memory, self._permissions.executable
        return [
            pc
            for start, size in self._code_runs
            for pc in range(start + max(size - LONGEST + 1, 0), start + size)
            for offset in range(1, instruction_length(memory, pc))
            if not executable[(pc + offset) % MEMORY_SIZE]
        ]


def _permissions(segments: Sequence[tuple[int, bytes]], memory: MemoryMap | None) -> Permissions:
    for address, data in segments:
        _check_range(address, len(data))
    if memory is not None:
        return Permissions.of_map(memory)
    return Permissions.of_loaded(range(address, address + len(data)) for address, data in segments)


def _check_range(address: int, size: int) -> None:
    if size < 0 or address < 0 or address + size > MEMORY_SIZE:
        raise EmulatorError(f"{size} bytes at {address:#x} are outside the 64 KiB of memory")
