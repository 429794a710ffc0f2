"""The `z80` library's machine, with exact T-states, frame by frame or step by step.

T-states are exact as long as they are counted by the library's frames of 100,000 T; its
`ticks_to_stop` loses the overrun, so it only says when to look.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import z80

from emulators.z80_guard import Guard, detach

MEMORY_SIZE: Final = 0x10000
FRAME: Final = 100_000

# Where the library's state view holds what we use.
_REGISTERS = slice(8, 12)  # PC, SP
_TICKS_TO_STOP = slice(16, 20)
_TICKS = slice(20, 24)  # T-states since the end of the last frame
_R = 36
_HALTED = 41
_PREFIX = 43  # not 0 between a DD or FD prefix and the rest of its instruction
HEAD_SIZE: Final = 44  # memory follows

_BREAKPOINT = 1 << 0
_FRAME_ENDED = 1 << 3

# R counts M1 cycles modulo 128. A chunk and the instruction that overruns it take at most
# 480 + 22 T, and an M1 cycle at least 4.
_CHUNK = 480
# Longer chains of prefixes are left to stepping, which need not hurry.
_MOST_PREFIXES = 8


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a core needs to go back to an earlier time of the same call."""

    state: bytes
    frames: int
    m1: int
    lowest: int
    bank: int


class Core:
    """A CPU with 64 KiB of RAM, whose breakpoints are wherever code is not, and on marks.

    m1_wait: T-states that the machine around the CPU adds to each M1 cycle.
    """

    def __init__(self, m1_wait: int) -> None:
        machine = z80.Z80Machine()
        self._machine = machine
        self._state = machine.get_state_view()
        self._head = self._state[:HEAD_SIZE]
        self.memory = self._state[HEAD_SIZE:]
        self._registers = self._state[_REGISTERS].cast("H")
        self._ticks = self._state[_TICKS].cast("I")
        self._ticks_to_stop = self._state[_TICKS_TO_STOP].cast("I")
        self._m1_wait = m1_wait
        self._frames = self._m1 = self._last_r = 0
        self.guard = Guard(machine, self.memory, self._registers[1:], self._ticks_to_stop)
        self.guard.attach()
        # The library keeps its callbacks for good, and the garbage collector cannot see that.
        weakref.finalize(self, detach, machine)

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        return self._registers[0]

    @property
    def sp(self) -> int:
        """The stack pointer."""
        return self._registers[1]

    @property
    def cycles(self) -> int:
        """T-states since `enter`, waits included."""
        return self._frames * FRAME + self._ticks[0] + self._m1_wait * self._m1

    @property
    def frames(self) -> int:
        """Frames that ended since `enter`."""
        return self._frames

    @property
    def halted(self) -> bool:
        """Whether HALT was executed; it would last forever."""
        return self._state[_HALTED] != 0

    @property
    def within_instruction(self) -> bool:
        """Whether a prefix was executed, and the rest of its instruction was not."""
        return self._state[_PREFIX] != 0

    def erase(self) -> None:
        """Zero everything; nothing is code."""
        self._state[:] = bytes(len(self._state))
        self._machine.mark_addrs(0, MEMORY_SIZE, _BREAKPOINT)

    def allow(self, address: int, size: int) -> None:
        """Make a range code: take its breakpoints away."""
        self._machine.unmark_addrs(address, size, _BREAKPOINT)

    def set_breakpoint(self, address: int) -> None:
        """Make `run` stop before the instruction at `address`."""
        self._machine.set_breakpoint(address)

    def enter(self, pc: int, sp: int) -> None:
        """Zero the CPU and its clock, and set two registers."""
        self._head[:] = bytes(HEAD_SIZE)
        self._frames = self._m1 = self._last_r = 0
        self._registers[0] = pc
        self._registers[1] = sp

    def save(self) -> Checkpoint:
        """Remember this moment."""
        guard = self.guard
        return Checkpoint(bytes(self._state), self._frames, self._m1, guard.lowest, guard.bank)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a moment of the same call."""
        self._state[:] = checkpoint.state
        self._frames, self._m1 = checkpoint.frames, checkpoint.m1
        self._last_r = self._state[_R]
        self.guard.rewind(checkpoint.lowest)
        if self.guard.bank != checkpoint.bank:
            self.guard.select(checkpoint.bank)

    def run(self) -> bool:
        """Run to the end of the frame (False), or to a breakpoint or a suspicion (True)."""
        events = self._run_counting_m1() if self._m1_wait else self._machine.run()
        if not events & _FRAME_ENDED:
            return True
        self._frames += 1
        self._finish_instruction()
        return False

    def step(self) -> None:
        """Execute one whole instruction, whatever breakpoint it has."""
        if self._machine.step_over_breakpoint() & _FRAME_ENDED:
            self._frames += 1
        self._count_m1()
        self._finish_instruction()

    def log_steps(self, count: int, executable: bytes) -> bytearray:
        """Execute at least `count` steps, whatever happens, and log the CPU before each.

        A step is an instruction or one of its DD and FD prefixes. Ends between instructions, with
        the CPU after the last one, unless an instruction runs out of what is executable; and
        before that where another bank shows.
        """
        step, head, log = self._machine.step_over_breakpoint, self._head, bytearray()
        guard, bank = self.guard, self.guard.bank
        guard.start_log(log)
        for _ in repeat(None, count):
            log += head
            step()
            if guard.bank != bank:
                break
        while self.within_instruction and executable[self.pc]:
            log += head
            step()
        log += head
        return log

    def advance(self, count: int) -> None:
        """Execute steps without keeping the time: `settle` must follow."""
        step = self._machine.step_over_breakpoint
        for _ in repeat(None, count):
            step()

    def settle(self, frames: int, m1: int) -> None:
        """Add the frames that ended in the last steps, and their M1 cycles."""
        self._frames += frames
        self._m1 += m1
        self._last_r = self._state[_R]

    def _run_counting_m1(self) -> int:
        run = self._machine.run
        while True:
            self._ticks_to_stop[0] = _CHUNK
            events: int = run()
            self._count_m1()
            if events & (_BREAKPOINT | _FRAME_ENDED) or self.guard.suspicions:
                return events

    def _count_m1(self) -> None:
        r = self._state[_R]
        self._m1 += (r - self._last_r) & 0x7F
        self._last_r = r

    def _finish_instruction(self) -> None:
        """Execute what follows a prefix, which the library steps through on its own."""
        for _ in range(_MOST_PREFIXES):
            if not self.within_instruction:
                break
            self._ticks_to_stop[0] = 1
            if self._machine.run() & _FRAME_ENDED:
                self._frames += 1
            self._count_m1()
