"""What the compiler must know of a machine; the records stand in `kernels.<isa>.targets`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module

from kernels.errors import Unsupported

ISAS = ("avr", "z80")


@dataclass(frozen=True, slots=True)
class Region:
    """`size` bytes of memory from `origin` on."""

    origin: int
    size: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.origin + self.size


@dataclass(frozen=True, slots=True)
class Banks:
    """Code memory in banks, of which the first is always there and any one shows in a window.

    All are of the window's size. Addresses of code memory run on from bank to bank, as the bytes of
    the ROM do. register: where the number of the bank that is to show is written to.
    """

    window: Region
    register: Region

    @property
    def size(self) -> int:
        """Bytes of a bank."""
        return self.window.size


class Interrupts(StrEnum):
    """What happens to interrupts while kernels run.

    An interrupt pushes onto the stack, so kernels that make the stack pointer a data pointer need
    a while without them.
    """

    OFF = "off"  # nothing raises any, or the program's start turned them off
    MASKED = "masked"  # a kernel may turn them off, and on again when it is done
    SERVED = "served"  # at any moment: the stack pointer stays a stack pointer


@dataclass(frozen=True, slots=True)
class Target:
    """A device as a program finds it, with what its system reserves already taken away.

    code: where the image goes (flash, or the TPA); data: where the arena and the stack go.
    Where both are the same memory (`unified`), the image lies at its bottom, the stack at its top
    and the arena right below `stack_reserve` bytes for the stack.
    source: where clock, memories and reserved parts are documented. enter, leave: instructions
    around the program that its system asks for. m1_wait: wait states of each M1 cycle (Z80).
    interrupts: whether kernels may borrow the stack pointer (Z80).
    banks: how code memory beyond 64 KB is reached, None where all of it is (Z80).
    """

    name: str
    title: str
    isa: str
    device: str
    clock_hz: int
    code: Region
    data: Region
    features: frozenset[str]
    assembler: tuple[str, ...]
    linker: tuple[str, ...]
    source: str
    stack_reserve: int = 0
    enter: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    m1_wait: int = 0
    interrupts: Interrupts = Interrupts.SERVED
    banks: Banks | None = None

    @property
    def unified(self) -> bool:
        """Whether code and data share one memory."""
        return self.code == self.data

    @property
    def arena_alignment(self) -> int:
        """What the arena's origin is modulo 256, whatever its size."""
        return 0 if self.unified else self.data.origin % 256

    def arena_origin(self, size: int) -> int:
        """Where an arena of that many bytes begins."""
        if self.unified:
            return (self.data.end - self.stack_reserve - size) & ~0xFF
        return self.data.origin

    def milliseconds(self, cycles: float) -> float:
        """What so many cycles take at the device's clock."""
        return cycles * 1e3 / self.clock_hz


def targets() -> dict[str, Target]:
    """Every target by name."""
    return {target.name: target for isa in ISAS for target in _targets_of(isa)}


def find_target(name: str) -> Target:
    """The target of that name; Unsupported lists the names that exist."""
    known = targets()
    if name not in known:
        raise Unsupported(f"unknown target {name!r}; known targets: {', '.join(known)}")
    return known[name]


def _targets_of(isa: str) -> Iterator[Target]:
    module = import_module(f"kernels.{isa}.targets")
    return (value for value in vars(module).values() if isinstance(value, Target))
