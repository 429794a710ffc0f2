"""A stretch of a call, step by step: what it cost, what it touched, and where it should have ended.

The steps were executed blindly; whatever lies beyond the first stop has to be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulators.base import Mark, StopReason
from emulators.z80_core import FRAME, HEAD_SIZE, MEMORY_SIZE
from emulators.z80_decode import STEP, Decoded
from emulators.z80_guard import Flags, Guard, Permissions

# LD I,A and their like are the only steps of 9 T. LD R,A is one: R does not count its M1 cycles.
_T_OF_LD_R = 9
_M1_OF_LD_R = 2


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a call ends. resume: the step before which it ended; counted: steps that count."""

    reason: StopReason
    resume: int
    counted: int
    pc: int
    address: int | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Bounds:
    """What ends a call, but for accesses. start: the cycles when the trace began."""

    permissions: Permissions
    return_address: int
    balanced_sp: int
    limit: int
    start: int


class Trace:
    """The steps of one log: n of them, and n + 1 moments. bank: which shows, but at the last."""

    def __init__(self, log: bytearray, memory: memoryview, m1_wait: int, bank: int) -> None:
        steps: NDArray[Any] = np.frombuffer(log, STEP)
        self._steps = steps
        self._memory = memory
        self.bank = bank
        ticks = np.diff(steps["ticks"].astype(np.int64))
        self._wraps = ticks < 0
        ticks += FRAME * self._wraps
        self._m1 = np.where(ticks == _T_OF_LD_R, _M1_OF_LD_R, np.diff(steps["r"]) & 0x7F)
        self._cost = ticks + m1_wait * self._m1
        self._elapsed = np.concatenate([[0], np.cumsum(self._cost)])
        self._pc = steps["pc"].astype(np.intp)
        self._begins = steps["prefix"] == 0
        moments = np.arange(len(steps))
        self._instruction = np.maximum.accumulate(np.where(self._begins, moments, 0))
        self._decoded: Decoded | None = None

    @property
    def size(self) -> int:
        """Steps."""
        return len(self._cost)

    @property
    def decoded(self) -> Decoded:
        """What the steps do; only for memory whose code did not change."""
        if self._decoded is None:
            self._decoded = Decoded(self._steps, self._memory)
        return self._decoded

    def cycles(self, count: int) -> int:
        """T-states of the first steps, waits included."""
        return int(self._elapsed[count])

    def clock(self, count: int) -> tuple[int, int]:
        """Frames that ended within the first steps, and their M1 cycles."""
        return int(self._wraps[:count].sum()), int(self._m1[:count].sum())

    def marks(self, marked: frozenset[int], counted: int, start: int) -> list[Mark]:
        """Arrivals at marked addresses among the first steps; start: the cycles at the first."""
        hits = np.isin(self._pc[:counted], list(marked)) & self._begins[:counted]
        return [
            Mark(int(self._pc[step]), start + int(self._elapsed[step]))
            for step in np.flatnonzero(hits)
        ]

    def costs(self, counted: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Counts and cycles by address, of the instructions of the first steps."""
        pcs = self._pc[self._instruction[:counted]]
        begun = self._pc[:counted][self._begins[:counted]]
        cycles = np.bincount(pcs, self._cost[:counted], MEMORY_SIZE)  # exact: far below 2**53
        return np.bincount(begun, minlength=MEMORY_SIZE), cycles.astype(np.int64)

    def first_stop(self, bounds: Bounds, guard: Guard) -> Stop | None:
        """What should have ended the call."""
        before, after = self._stop_before_a_step(bounds), self._stop_after_a_step(bounds, guard)
        if before and after:
            return before if before.counted < after.counted else after
        return before or after

    def _stop_before_a_step(self, bounds: Bounds) -> Stop | None:
        outside = ~bounds.permissions.executable[self._pc]
        late = self._begins & (self._elapsed >= bounds.limit - bounds.start)
        cut = self._runs_out_of_code(bounds.permissions)
        step = _first(outside | late | cut)
        if step is None:
            return None
        begin = int(self._instruction[step])
        pc = int(self._pc[begin])
        if step == begin and pc == bounds.return_address:
            balanced = int(self._steps["sp"][step]) == bounds.balanced_sp
            if balanced:
                return Stop(StopReason.RETURNED, step, step, pc)
            return Stop(StopReason.STACK_UNBALANCED, step, step, self._pc_before(begin))
        if step == begin and outside[step]:
            return Stop(StopReason.OUTSIDE_CODE, step, step, self._pc_before(begin))
        reason = StopReason.CYCLE_LIMIT if late[step] else StopReason.OUTSIDE_CODE
        return Stop(reason, begin, begin, pc)

    def _pc_before(self, step: int) -> int:
        """Where the instruction before a step begins, or the step itself if it is the first."""
        return int(self._pc[self._instruction[max(step - 1, 0)]])

    def _runs_out_of_code(self, permissions: Permissions) -> Flags:
        """Steps whose bytes are not all code; without guards only their first byte matters."""
        cut: Flags = np.zeros(self.size + 1, np.bool_)
        if permissions.guarded:
            lengths = self.decoded.lengths()
            for offset in range(1, 4):
                following = (self._pc[:-1] + offset) % MEMORY_SIZE
                cut[:-1] |= (lengths > offset) & ~permissions.executable[following]
        return cut

    def _stop_after_a_step(self, bounds: Bounds, guard: Guard) -> Stop | None:
        stops = [self._halt(), self._suspected(guard), self._reading_code(bounds.permissions)]
        return min((stop for stop in stops if stop), key=lambda stop: stop.counted, default=None)

    def _fault(self, reason: StopReason, step: int, address: int | None = None) -> Stop:
        """A step that counts, but whose instruction is taken back."""
        begin = int(self._instruction[step])
        return Stop(reason, begin, step + 1, int(self._pc[begin]), address)

    def _halt(self) -> Stop | None:
        step = _first(self._steps["halted"][1:] != 0)
        return None if step is None else self._fault(StopReason.HALT, step)

    def _suspected(self, guard: Guard) -> Stop | None:
        """The first access that was noted and is forbidden indeed."""
        for log_size, suspected, address in guard.suspicions:
            step = log_size // HEAD_SIZE - 1
            reason: StopReason | None = suspected
            if reason is StopReason.STACK_OVERFLOW and not self._pushes(step):
                reason = guard.write_reason(address)
            if reason:
                return self._fault(reason, step, address)
        return None

    def _pushes(self, step: int) -> bool:
        """Whether a step, which writes, is a PUSH, CALL or RST."""
        before, after = self._steps["sp"][step : step + 2]
        return (int(before) - int(after)) % MEMORY_SIZE == 2

    def _reading_code(self, permissions: Permissions) -> Stop | None:
        if not permissions.guarded:
            return None
        forbidden = permissions.executable & ~permissions.readable
        stops = []
        for steps, addresses in self.decoded.reads():
            bad = _first(forbidden[addresses])
            if bad is not None:
                stops.append(self._fault(StopReason.BAD_READ, int(steps[bad]), int(addresses[bad])))
        return min(stops, key=lambda stop: stop.counted, default=None)


def _first(flags: NDArray[np.bool_]) -> int | None:
    """The index of the first True."""
    return int(flags.argmax()) if flags.any() else None
