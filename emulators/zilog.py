"""The Z80, emulated by PyPI's `z80`: 64 KiB of RAM, no devices, interrupts off.

A call runs frame by frame. Whatever ends a frame in any other way than its end, a mark or a clean
return is only suspected there; the frame is then taken back and stepped through, which finds the
instruction at fault. Thus a run without faults pays next to nothing for the checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from emulators.base import CallResult, EmulatorError, Mark, Profile, StopReason
from emulators.z80_core import MEMORY_SIZE, Core

_RETURN_ADDRESS_SIZE = 2


class Z80:
    """One Z80 with its own 64 KiB; implements `emulators.Emulator`.

    It holds the GIL while it runs: use processes, not threads.
    """

    def __init__(self) -> None:
        self._core = Core()
        self._is_code = bytearray(MEMORY_SIZE)
        self._return_address = 0
        self.load([])

    @property
    def name(self) -> str:
        """For tables: `z80 (z80 1.2.0)`."""
        return f"z80 (z80 {version('z80')})"

    def load(self, segments: Sequence[tuple[int, bytes]]) -> None:
        """Zero the machine and place (address, bytes); what is loaded is what may be executed.

        EmulatorError, with the machine as it was, for a segment outside the 64 KiB, or if the
        segments leave no byte free: the address to return to must not be code.
        """
        is_code = bytearray(MEMORY_SIZE)
        for address, data in segments:
            _check_range(address, len(data))
            is_code[address : address + len(data)] = b"\1" * len(data)
        return_address = is_code.rfind(0)
        if return_address < 0:
            raise EmulatorError("the segments fill all 64 KiB; one byte must stay free")
        self._is_code, self._return_address = is_code, return_address
        self._core.erase()
        for address, data in segments:
            self._core.allow(address, len(data))
            self._core.write(address, data)

    def write(self, address: int, data: bytes) -> None:
        """Write memory; EmulatorError outside the 64 KiB."""
        _check_range(address, len(data))
        self._core.write(address, data)

    def read(self, address: int, size: int) -> bytes:
        """Read memory; EmulatorError outside the 64 KiB."""
        _check_range(address, size)
        return self._core.read(address, size)

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
        """Call the routine; see `emulators.Emulator.call`.

        All registers but SP are zero. The peak reaches down to the lowest byte written within the
        stack, so SP may serve as a data pointer elsewhere. An overflow is a PUSH, CALL or RST that
        writes the byte below `stack_floor`: a stack taken past it by LD SP is not caught. A
        profile steps through the call, which takes some hundred times as long.
        """
        _check_range(address, 1)
        _check_range(stack_floor, stack - stack_floor + 1)
        if stack - stack_floor + 1 < _RETURN_ADDRESS_SIZE:
            raise EmulatorError("a stack of less than 2 bytes cannot hold a return address")
        if limit < 1:
            raise EmulatorError(f"a limit of {limit} cycles allows no instruction")
        for mark in marks:
            if not 0 <= mark < MEMORY_SIZE or not self._is_code[mark]:
                raise EmulatorError(f"the mark {mark:#x} is not the address of loaded code")

        sp = stack - 1
        self._core.enter(address, sp)
        self._core.write(sp, self._return_address.to_bytes(_RETURN_ADDRESS_SIZE, "little"))
        self._core.watch.start(stack_floor, sp)
        run = _Run(self._core, self._is_code, self._return_address, limit, profile)
        for mark in marks:
            self._core.set_breakpoint(mark)
        try:
            reason, pc = run.to_end(frozenset(marks))
        finally:
            for mark in marks:
                self._core.allow(mark, 1)
        return CallResult(
            cycles=self._core.cycles,
            reason=reason,
            pc=pc,
            stack_peak=stack - self._core.watch.lowest + 1,
            marks=tuple(run.marks),
            profile=run.ledger.profile() if run.ledger else None,
        )


class _Ledger:
    """Counts and T-states of the instruction at each address."""

    def __init__(self) -> None:
        self._counts = [0] * MEMORY_SIZE
        self._cycles = [0] * MEMORY_SIZE

    def add(self, pc: int, cycles: int) -> None:
        self._counts[pc] += 1
        self._cycles[pc] += cycles

    def profile(self) -> Profile:
        counts: NDArray[np.uint64] = np.array(self._counts, dtype=np.uint64)
        cycles: NDArray[np.uint64] = np.array(self._cycles, dtype=np.uint64)
        executed = np.flatnonzero(counts)
        return Profile(executed.astype(np.uint32), counts[executed], cycles[executed])


class _Run:
    """One call under way: where it may go, when it must end, and what it left behind."""

    def __init__(
        self, core: Core, is_code: bytearray, return_address: int, limit: int, profile: bool
    ) -> None:
        self._core = core
        self._is_code = is_code
        self._return_address = return_address
        self._limit = limit
        self._balanced_sp = (core.sp + _RETURN_ADDRESS_SIZE) % MEMORY_SIZE
        self._last_pc = core.pc
        self._marked: frozenset[int] = frozenset()
        self.marks: list[Mark] = []
        self.ledger = _Ledger() if profile else None

    def to_end(self, marked: frozenset[int]) -> tuple[StopReason, int]:
        """Run until something ends the call; give the reason and where."""
        self._marked = marked
        reason = None
        while reason is None:
            reason = self._step_frame() if self.ledger else self._try_frame()
        at_fault = reason not in (StopReason.RETURNED, StopReason.CYCLE_LIMIT)
        return reason, self._last_pc if at_fault else self._core.pc

    def _try_frame(self) -> StopReason | None:
        """Run a frame at full speed; if anything seems wrong, go back and step through it."""
        checkpoint, mark_count = self._core.save(), len(self.marks)
        self._run_frame()
        if self._seems_wrong():
            self._core.restore(checkpoint)
            del self.marks[mark_count:]
            return self._step_frame()
        return StopReason.RETURNED if self._core.pc == self._return_address else None

    def _run_frame(self) -> None:
        """Run to the end of the frame, or to a breakpoint that is no mark; log the marks."""
        frame = self._core.frames
        while self._core.frames == frame and self._core.run():
            pc = self._core.pc
            if pc not in self._marked:
                return
            self.marks.append(Mark(pc, self._core.cycles))
            self._core.step()

    def _seems_wrong(self) -> bool:
        core = self._core
        if core.watch.grew_below or core.halted:
            return True
        if core.pc == self._return_address:
            return core.sp != self._balanced_sp or core.cycles > self._limit
        return not self._is_code[core.pc] or core.cycles >= self._limit

    def _step_frame(self) -> StopReason | None:
        """Step to the end of the frame, checking every instruction."""
        core, frame = self._core, self._core.frames
        while core.frames == frame:
            reason = self._reason_to_stop_here()
            if reason:
                return reason
            pc, sp, before = core.pc, core.sp, core.cycles
            self._last_pc = pc
            if pc in self._marked:
                self.marks.append(Mark(pc, before))
            core.step()
            if self.ledger:
                self.ledger.add(pc, core.cycles - before)
            if core.halted:
                return StopReason.HALT
            if core.watch.grew_below:
                core.watch.grew_below = False
                if (sp - core.sp) % MEMORY_SIZE == 2:
                    return StopReason.STACK_OVERFLOW
        return None

    def _reason_to_stop_here(self) -> StopReason | None:
        """Why the next instruction must not be executed."""
        core = self._core
        if core.pc == self._return_address:
            balanced = core.sp == self._balanced_sp
            return StopReason.RETURNED if balanced else StopReason.STACK_UNBALANCED
        if not self._is_code[core.pc]:
            return StopReason.OUTSIDE_CODE
        if core.cycles >= self._limit:
            return StopReason.CYCLE_LIMIT
        return None


def _check_range(address: int, size: int) -> None:
    if size < 0 or address < 0 or address + size > MEMORY_SIZE:
        raise EmulatorError(f"{size} bytes at {address:#x} are outside the 64 KiB of memory")
