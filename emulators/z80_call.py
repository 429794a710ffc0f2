"""One call under way: at full speed, and step by step where something is amiss or to be recorded.

A call runs frame by frame. Whatever ends a frame in any other way than its end, a mark or a clean
return is only suspected there; the frame is then taken back and traced, which finds the
instruction at fault. Thus a run without faults pays next to nothing for the checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emulators.base import Mark, StopReason
from emulators.z80_core import Core
from emulators.z80_records import Ledger, Touched
from emulators.z80_trace import Bounds, Stop, Trace

# Steps traced at once: few at first, for what goes wrong early.
_FEW_STEPS = 256
_MANY_STEPS = 16384


class Run:
    """One call: where it may go, when it must end, and what it left behind.

    records: to be filled. tracing: never run at full speed; with records it cannot be.
    """

    def __init__(
        self,
        core: Core,
        bounds: Bounds,
        marked: frozenset[int],
        m1_wait: int,
        *,
        records: Sequence[Ledger | Touched],
        tracing: bool,
    ) -> None:
        self._core = core
        self._bounds = bounds
        self._marked = marked
        self._m1_wait = m1_wait
        self._records = records
        self._tracing = tracing or bool(records)
        self._chunk = _FEW_STEPS
        self.marks: list[Mark] = []
        self.cycles = 0

    def to_end(self) -> tuple[StopReason, int, int | None]:
        """Run until something ends the call; give the reason, where, and the address accessed."""
        while True:
            stop = self._trace() if self._tracing else self._try_frame()
            if stop:
                return stop.reason, stop.pc, stop.address

    def _try_frame(self) -> Stop | None:
        """Run a frame at full speed; if anything seems wrong, go back and trace from there."""
        core = self._core
        checkpoint, mark_count = core.save(), len(self.marks)
        whole = self._run_frame()
        if self._seems_wrong(whole=whole):
            core.restore(checkpoint)
            del self.marks[mark_count:]
            return self._trace()
        self.cycles = core.cycles
        if core.pc != self._bounds.return_address:
            return None
        return Stop(StopReason.RETURNED, 0, 0, core.pc)

    def _run_frame(self) -> bool:
        """Run to the end of the frame (True), or to a breakpoint that is no mark; log the marks."""
        core, frame = self._core, self._core.frames
        while core.frames == frame and core.run():
            if core.pc not in self._marked or self._is_suspicious():
                return False
            self.marks.append(Mark(core.pc, core.cycles))
            core.step()
        return True

    def _is_suspicious(self) -> bool:
        return bool(self._core.guard.suspicions) or self._core.within_instruction

    def _seems_wrong(self, *, whole: bool) -> bool:
        core, bounds = self._core, self._bounds
        if self._is_suspicious() or core.halted:
            return True
        if core.pc == bounds.return_address:
            return core.sp != bounds.balanced_sp or core.cycles > bounds.limit
        if not core.guard.is_code(bounds.permissions, core.pc):
            return True
        return not whole or core.cycles >= bounds.limit

    def _trace(self) -> Stop | None:
        """Execute some steps, find what should have ended the call, and take back the rest."""
        core, start = self._core, self._core.cycles
        checkpoint = core.save()
        bank, memory = core.guard.bank, core.guard.memory_now()
        permissions = core.guard.shown(self._bounds.permissions)
        log = core.log_steps(self._chunk, permissions.executable.tobytes())
        self._chunk = min(2 * self._chunk, _MANY_STEPS)
        trace = Trace(log, memory, self._m1_wait, bank)
        bounds = replace(self._bounds, permissions=permissions, start=start)
        stop = trace.first_stop(bounds, core.guard)
        done, counted = (stop.resume, stop.counted) if stop else (trace.size, trace.size)
        if stop:
            core.restore(checkpoint)
            core.advance(done)
        core.guard.suspicions.clear()
        core.settle(*trace.clock(done))
        self.cycles = start + trace.cycles(counted)
        self.marks += trace.marks(self._marked, counted, start)
        for record in self._records:
            record.add(trace, counted)
        return stop
