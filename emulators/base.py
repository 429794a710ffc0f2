"""What every emulator offers: load an image, touch memory, call a routine, get exact cycles.

An emulator knows nothing of neural networks, images or linkers: it takes bytes and addresses.
Code addresses are byte addresses, as a linker prints them (the AVR's program counter counts
words; the binding converts). Data addresses are those that an instruction would use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class StopReason(StrEnum):
    """Why a call ended. Everything but `RETURNED` means that the result must not be used."""

    RETURNED = "returned"
    CYCLE_LIMIT = "cycle limit reached"
    INVALID_OPCODE = "invalid opcode"
    OUTSIDE_CODE = "execution outside code"
    BAD_ACCESS = "data access outside memory"
    WRITE_TO_CODE = "write to code or constants"
    BAD_READ = "read outside declared regions"
    BAD_WRITE = "write outside declared regions"
    STACK_OVERFLOW = "stack overflow"
    STACK_UNBALANCED = "returned with an unbalanced stack"
    BREAK = "break instruction"
    SLEEP = "sleep"
    HALT = "halt"
    WATCHDOG = "watchdog reset"


class EmulatorError(Exception):
    """An emulator was asked for something impossible: an unknown device, an image too large."""


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """What a program may do where; anything else ends the call.

    code: code addresses that may be executed. constants: code addresses that may be read as data
    (AVR: by LPM and ELPM). data: data addresses that may be read and written. The stack, from
    `stack_floor` to `stack` of a call, may always be read and written; so may what an instruction
    set needs of its own (AVR: SREG, SP, RAMPZ, EIND).
    """

    code: tuple[range, ...]
    constants: tuple[range, ...]
    data: tuple[range, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """The program counter stood at `pc` (about to execute it) after `cycle` cycles of the call."""

    pc: int
    cycle: int


@dataclass(frozen=True, slots=True, eq=False)  # == of arrays is no truth value
class Profile:
    """What each instruction cost, in ascending order of its address; only executed ones.

    pcs: uint32 (n,), byte addresses; counts: uint64 (n,); cycles: uint64 (n,). The sum of `cycles`
    equals the call's cycles exactly.
    """

    pcs: NDArray[np.uint32]
    counts: NDArray[np.uint64]
    cycles: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class CallResult:
    """One call of a routine.

    cycles: from the first instruction of the routine to the end of its return, which is included
    (the caller's CALL is not); an instruction that was only about to execute does not count.
    pc: for an error, the instruction at fault (for execution outside code, the last one within);
    at the cycle limit, the next one; after a return, the address returned to.
    stack_peak: bytes, the routine's own return address included.
    address: for a forbidden access, the address that was accessed.
    touched: which data addresses instructions accessed, from address 0; uint8, 1 for read plus 2
    for written.
    marks: in order of execution, one for each time a marked address was about to execute.
    """

    cycles: int
    reason: StopReason
    pc: int
    stack_peak: int
    marks: tuple[Mark, ...] = ()
    profile: Profile | None = None
    address: int | None = None
    touched: NDArray[np.uint8] | None = None


class Emulator(Protocol):
    """One emulated machine, to be reused for many images and calls."""

    @property
    def name(self) -> str:
        """The emulated device and the emulator, for tables: `atmega328p (simavr 1.6)`."""

    def load(self, segments: Sequence[tuple[int, bytes]], memory: MemoryMap | None = None) -> None:
        """Reset the machine to a fresh one and place (address, bytes) segments of the image.

        memory: what calls are held to. Without it all that is loaded may be executed and read, and
        all RAM used.
        Raises EmulatorError for a segment that does not fit the device's memory.
        """

    def write(self, address: int, data: bytes) -> None:
        """Write data memory; EmulatorError outside the device's RAM."""

    def read(self, address: int, size: int) -> bytes:
        """Read data memory; EmulatorError outside the device's RAM."""

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
        """Call the routine at a code address with clean registers; memory stays as it is.

        limit: cycles after which no further instruction begins. stack: the address of the topmost
        byte that the stack may use (the return address is pushed there). stack_floor: the lowest.
        profile, touched: what to record on top; both cost speed.
        Raises EmulatorError for addresses that cannot be, and for marks outside loaded code.
        """
