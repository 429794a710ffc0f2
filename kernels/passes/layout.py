"""Layout: the order of parts in code memory, their addresses and sizes, before anything is linked.

    startup | shared code, then what is one layer's own | layers' code, each falling into the next
    | return | subroutines
    | constants | loose constants that fill no gap
    | constants and code in banks, each as a whole in one that is not the first

Sizes come from the instruction tables, so a program is known to fit before it is assembled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol, cast

from kernels.asm import Assembly
from kernels.emit import Banked
from kernels.errors import CompilerError
from kernels.image import Kind, Part
from kernels.isa import Isa
from kernels.passes.emission import Emission
from kernels.passes.gaps import fill_gaps
from kernels.passes.piece import Piece
from kernels.target import Banks, Target

_Named = tuple[str, str | None, Kind, Assembly, int]  # name, layer, kind, text, alignment


class Startup(Protocol):
    """What `kernels.<isa>.startup` offers.

    WORD: bytes that an image's size is a multiple of. FAR: the first address that constants are
    loaded from by other instructions. REACH: the first address that shared code is not jumped to.
    """

    ISA: Isa
    RETURN: str
    WORD: int
    FAR: int
    REACH: int

    def startup(self, out: Assembly, target: Target) -> None:
        """Write what runs from reset and calls `infer`."""


def startup_of(target: Target) -> Startup:
    """The startup module of a target's instruction set."""
    return cast("Startup", import_module(f"kernels.{target.isa}.startup"))


def lay_out(emission: Emission, target: Target) -> list[Piece]:
    """All parts in order; bytes skipped for alignment count to the part behind them."""
    machine = startup_of(target)
    pieces = fill_gaps(
        _place(_parts(emission, target), target.code.origin, emission), emission.jobs
    )
    _check_reach(pieces, machine.REACH)
    nothing = Assembly(machine.ISA, target.features)
    padding = ("padding", None, Kind.CONST, nothing, machine.WORD)
    pieces += _place([padding], pieces[-1].end, emission)
    if target.banks:
        pieces += _fill_banks(emission, target, target.banks, pieces[-1].end)
    return pieces


def _place(parts: Iterable[_Named], address: int, emission: Emission) -> list[Piece]:
    """The parts that are not empty, one after the other from an address on."""
    pieces = []
    for name, layer, kind, text, align in parts:
        symbol = name if name in emission.shared else None
        start = -(-address // align) * align
        size = start - address + text.size
        if size:
            pieces.append(Piece(Part(name, layer, kind, address, size), text, symbol))
        address += size
    return pieces


def _check_reach(pieces: Iterable[Piece], reach: int) -> None:
    """CompilerError for shared code that a jump to a computed address would miss."""
    for piece in pieces:
        part = piece.part
        if part.kind is Kind.CODE and piece.symbol and not part.layer and piece.end > reach:
            raise CompilerError(f"{part.name} ends at {piece.end:#x}, jumps reach {reach:#x}")


@dataclass(slots=True)
class _Bank:
    """What lies in a bank: layer, symbol and bytes of each, one behind the other."""

    size: int
    held: list[tuple[str, str, Banked]] = field(default_factory=list)

    @property
    def used(self) -> int:
        return sum(one.text.size for _, _, one in self.held)

    def takes(self, one: Banked) -> bool:
        return not (one.first and self.held) and self.used + one.text.size <= self.size


def _fill_banks(emission: Emission, target: Target, banks: Banks, address: int) -> Iterator[Piece]:
    """Behind bank 0, in order, each in the first bank that has room; what is left is unused."""
    filled: list[_Bank] = []
    for layer, symbol, one in _banked(emission):
        if one.text.size > banks.size:
            raise CompilerError(f"{symbol}: {one.text.size:,} bytes are too many for a bank")
        bank = next((bank for bank in filled if bank.takes(one)), None)
        if bank is None:
            bank = _Bank(banks.size)
            filled.append(bank)
        bank.held.append((layer, symbol, one))
    nothing = Assembly(startup_of(target).ISA, target.features)
    for number, bank in enumerate(filled):
        end = target.code.origin + (number + 1) * banks.size
        if address < end:
            rest = Part(f"rest of bank {number}", None, Kind.UNUSED, address, end - address)
            yield Piece(rest, nothing, None)
        address = end
        for layer, symbol, one in bank.held:
            kind = Kind.BANKED_CODE if one.code else Kind.BANKED
            yield Piece(Part(symbol, layer, kind, address, one.text.size), one.text, symbol)
            address += one.text.size


def _banked(emission: Emission) -> list[tuple[str, str, Banked]]:
    """Layer, symbol and text of all that goes to banks; what needs a bank's first byte first."""
    found = [(job.node.name, *item) for job in emission.jobs for item in job.banked.items()]
    return sorted(found, key=lambda item: not item[2].first)


def _parts(emission: Emission, target: Target) -> Iterator[_Named]:
    machine = startup_of(target)
    start, back = (Assembly(machine.ISA, target.features) for _ in range(2))
    machine.startup(start, target)
    back.emit(f"infer_end:\n{machine.RETURN}")
    yield "startup", None, Kind.STARTUP, start, 1
    code = [item for item in emission.shared.items() if item[1].code]
    # Jumps to computed addresses do not reach what lies behind hundreds of kilobytes of a layer's.
    for symbol, shared in sorted(code, key=lambda item: item[1].layer is not None):
        yield symbol, shared.layer, Kind.CODE, shared.text, shared.align
    for job in emission.jobs:
        yield job.node.name, job.node.name, Kind.CODE, job.code, 1
    yield "return", None, Kind.CODE, back, 1
    for job in emission.jobs:
        for label, text in job.subroutines.items():
            yield label, job.node.name, Kind.CODE, text, 1
    for symbol, shared in emission.shared.items():
        if not shared.code:
            yield symbol, shared.layer, Kind.CONST, shared.text, shared.align
    for job in emission.jobs:
        yield f"{job.node.name} constants", job.node.name, Kind.CONST, job.consts, 1
