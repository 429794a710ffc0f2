"""A routine to be called in two emulators, and what each makes of it.

Memory is filled with the same noise in both before the call, so that a read of what was never
written shows; all of it is compared afterwards, the bytes below the stack included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emulators.base import Emulator, StopReason
from emulators.simavr import SimAvr
from harness.run import emulator_for
from kernels.image import Program
from kernels.target import Target

LIMIT = 100_000_000

Writes = Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Routine:
    """Code and how to call it. entry: a byte address. stack: its topmost byte."""

    target: Target
    origin: int
    image: bytes
    entry: int
    stack: int
    floor: int


@dataclass(frozen=True, slots=True)
class Job:
    """A routine with all that a second emulator must be told of one call.

    writes: data memory before the call. return_address: as it lies in memory.
    """

    routine: Routine
    writes: Writes
    return_address: bytes
    limit: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call. memory: all data memory from address 0, AVR's registers and ports included."""

    cycles: int
    reason: StopReason
    memory: bytes


class SecondEmulator(Protocol):
    """An emulator that shares no code with ours."""

    @property
    def name(self) -> str:
        """For tables."""

    def call(self, job: Job) -> Outcome:
        """Call a routine on a fresh machine whose registers are zero."""


class NotInstalled(Exception):
    """A second emulator is not at hand; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same call in our emulator and in the other. first: of the compared addresses."""

    ours: Outcome
    other: Outcome
    first: int

    @property
    def differences(self) -> list[str]:
        """What is not the same, in words; empty when all is."""
        found = []
        for outcome, who in ((self.ours, "ours"), (self.other, "the other")):
            if outcome.reason is not StopReason.RETURNED:
                found.append(f"{who}: {outcome.reason}")
        if self.ours.cycles != self.other.cycles:
            found.append(f"cycles: {self.ours.cycles} and {self.other.cycles}")
        ours, other = (np.frombuffer(o.memory, np.uint8) for o in (self.ours, self.other))
        if len(ours) != len(other):
            return [*found, f"bytes of memory: {len(ours)} and {len(other)}"]
        wrong = np.flatnonzero(ours[self.first :] != other[self.first :]) + self.first
        shown = [f"{address:#06x}: {ours[address]:#x} and {other[address]:#x}" for address in wrong]
        return found + shown[:8] + ([f"{len(shown)} bytes differ"] if len(shown) > 8 else [])


class Comparer:
    """A routine loaded into our emulator, to be called there and in a second one."""

    def __init__(self, routine: Routine, second: SecondEmulator) -> None:
        self.routine = routine
        self._second = second
        self._ours: Emulator = emulator_for(routine.target)
        self._ours.load([(routine.origin, routine.image)])
        self._memory = self._ours.ram if isinstance(self._ours, SimAvr) else range(0x10000)

    def call(self, writes: Writes = (), *, seed: int = 0, limit: int = LIMIT) -> Comparison:
        """Call it in both, with `writes` on top of the noise that `seed` gives."""
        routine = self.routine
        writes = [*self._noise(seed), *writes]
        for address, data in writes:
            self._ours.write(address, data)
        result = self._ours.call(
            routine.entry, limit=limit, stack=routine.stack, stack_floor=routine.floor
        )
        memory = bytes(self._memory.start) + self._ours.read(self._memory.start, len(self._memory))
        size = 3 if "PC22" in routine.target.features else 2
        pushed = memory[routine.stack + 1 - size : routine.stack + 1]
        return Comparison(
            Outcome(result.cycles, result.reason, memory),
            self._second.call(Job(routine, writes, pushed, limit)),
            self._memory.start,
        )

    def _noise(self, seed: int) -> list[tuple[int, bytes]]:
        noise = np.random.default_rng(seed).bytes(len(self._memory))
        image = range(self.routine.origin, self.routine.origin + len(self.routine.image))
        if not self.routine.target.unified:
            return [(self._memory.start, noise)]
        return [(0, noise[: image.start]), (image.stop, noise[image.stop :])]


class ProgramComparer:
    """A compiled graph, to be run in both emulators."""

    def __init__(self, program: Program, second: SecondEmulator) -> None:
        self.program = program
        self._comparer = Comparer(routine_of(program), second)

    def infer(self, x: NDArray[np.integer], *, seed: int = 0) -> Comparison:
        """Run one input, integers of the graph's input shape."""
        source = self.program.tensors[self.program.graph.input.name]
        data = source.dtype.pack(np.asarray(x))
        return self._comparer.call([(source.address, data)], seed=seed)

    def output(self, outcome: Outcome, name: str) -> NDArray[np.int64]:
        """One of the graph's outputs, out of the memory that a call left."""
        where = self.program.tensors[name]
        count = int(np.prod(where.shape))
        data = outcome.memory[where.address : where.address + where.dtype.bytes_for(count)]
        return where.dtype.unpack(data, count).reshape(where.shape)


def routine_of(program: Program) -> Routine:
    """The routine that a program's image holds."""
    return Routine(
        program.target,
        program.image.origin,
        program.image.data,
        program.entry,
        program.stack_top,
        program.stack_floor,
    )
