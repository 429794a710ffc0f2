"""The `z80` library's machine, with exact T-states and a watch on its stack.

T-states are exact as long as they are counted by the library's frames of 100,000 T; its
`ticks_to_stop` loses the overrun.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import z80

MEMORY_SIZE = 0x10000
FRAME = 100_000

# Where the library's state view holds what we use.
_REGISTERS = slice(8, 12)  # PC, SP
_TICKS = slice(20, 24)  # T-states since the end of the last frame
_HALTED = 41
_PREFIX = 43  # not 0 between a DD or FD prefix and the rest of its instruction
_MEMORY = 44

_FRAME_ENDED = 1 << 3
_BREAKPOINT = 1 << 0
_WATCHED = 1 << 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a core needs to go back to an earlier time of the same call."""

    state: bytes
    frames: int
    lowest: int


class StackWatch:
    """Records the lowest written address of the stack, and growth below its floor.

    Only what lies below the lowest address so far is watched, so that each byte costs one callback
    at most. Growth is told from data by SP, hence only suspected: stepping decides.
    """

    def __init__(self, machine: z80.Z80Machine, state: memoryview) -> None:
        self._machine = machine
        self._memory = state[_MEMORY:]
        self._sp = state[_REGISTERS].cast("H")[1:]
        self._floor = 0
        self.lowest = 0
        self.grew_below = False

    def start(self, floor: int, lowest: int) -> None:
        """Watch a stack that may grow down to `floor` and is in use from `lowest` upwards."""
        self._machine.unmark_addrs(0, MEMORY_SIZE, _WATCHED)
        self._floor = floor
        self.rewind(lowest)

    def rewind(self, lowest: int) -> None:
        """Go back to when `lowest` was the lowest written address."""
        self.lowest = lowest
        self.grew_below = False
        guard = max(self._floor - 1, 0)
        self._machine.mark_addrs(guard, lowest - guard, _WATCHED)

    def on_write(self, address: int, value: int) -> None:
        """Do the write in the library's stead, which calls this for watched addresses only."""
        self._memory[address] = value
        if address < self._floor:
            # PUSH, CALL and RST lower SP only after both of their writes.
            self.grew_below |= self._sp[0] - address in (1, 2)
        else:
            self._machine.unmark_addrs(address, self.lowest - address, _WATCHED)
            self.lowest = address


def _forget_write(address: int, value: int) -> None:
    """Stand in for a watch that is no more."""


class Core:
    """A CPU with 64 KiB of RAM, whose breakpoints are wherever code is not, and on marks."""

    def __init__(self) -> None:
        self._machine = z80.Z80Machine()
        self._state = self._machine.get_state_view()
        self._registers = self._state[_REGISTERS].cast("H")
        self._ticks = self._state[_TICKS].cast("I")
        self._frames = 0
        self.watch = StackWatch(self._machine, self._state)
        self._machine.set_write_callback(self.watch.on_write)
        # The library keeps its callback for good, and the garbage collector cannot see that.
        weakref.finalize(self, self._machine.set_write_callback, _forget_write)

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
        """T-states since `enter`."""
        return self._frames * FRAME + self._ticks[0]

    @property
    def frames(self) -> int:
        """Frames that ended since `enter`."""
        return self._frames

    @property
    def halted(self) -> bool:
        """Whether HALT was executed; it would last forever."""
        return self._state[_HALTED] != 0

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

    def write(self, address: int, data: bytes) -> None:
        """Write memory; the caller checks the range."""
        self._state[_MEMORY + address : _MEMORY + address + len(data)] = data

    def read(self, address: int, size: int) -> bytes:
        """Read memory; the caller checks the range."""
        return bytes(self._state[_MEMORY + address : _MEMORY + address + size])

    def enter(self, pc: int, sp: int) -> None:
        """Zero the CPU and its clock, and set two registers."""
        self._state[:_MEMORY] = bytes(_MEMORY)
        self._frames = 0
        self._registers[0] = pc
        self._registers[1] = sp

    def save(self) -> Checkpoint:
        """Remember this moment."""
        return Checkpoint(bytes(self._state), self._frames, self.watch.lowest)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a moment of the same call."""
        self._state[:] = checkpoint.state
        self._frames = checkpoint.frames
        self.watch.rewind(checkpoint.lowest)

    def run(self) -> bool:
        """Run to a breakpoint (True) or to the end of the frame (False)."""
        at_breakpoint = not self._machine.run() & _FRAME_ENDED
        if not at_breakpoint:
            self._frames += 1
            self._finish_instruction()
        return at_breakpoint

    def step(self) -> None:
        """Execute one whole instruction, whatever breakpoint it has."""
        events = self._machine.step_over_breakpoint()
        if self._state[_PREFIX]:
            events |= self._finish_instruction()
        if events & _FRAME_ENDED:
            self._frames += 1

    def _finish_instruction(self) -> int:
        """Execute what follows a prefix, which the library steps through on its own."""
        events = 0
        while self._state[_PREFIX]:
            events |= self._machine.step_over_breakpoint()
        return events
