"""Link: one source from all parts, through the assembler and linker, checked against the plan."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from kernels.emit import bank_of
from kernels.errors import CompilerError
from kernels.image import Image, Kind
from kernels.passes.piece import Piece
from kernels.target import Target
from kernels.toolchain import assemble

_NAME = re.compile(r"[A-Za-z_]\w*")


def link(target: Target, pieces: Sequence[Piece], addresses: Mapping[str, int]) -> Image:
    """Assemble all parts, with the SRAM symbols at their addresses.

    Raises CompilerError where two symbols have one name, or where the linked bytes are not what the
    layout planned.
    """
    _check_names(pieces, [*addresses, *_equates(target, pieces)])
    linked = assemble(source(target, pieces, addresses), target)
    parts = tuple(piece.part for piece in pieces)
    labels = dict(linked.symbols)
    for number, part in enumerate(parts):
        found = labels.pop(_marker(number))
        if found != part.address:
            raise CompilerError(f"{part.name} lies at {found:#x}, planned was {part.address:#x}")
    planned = parts[-1].address + parts[-1].size - target.code.origin
    if len(linked.data) != planned:
        raise CompilerError(f"the image has {len(linked.data):,} bytes, planned were {planned:,}")
    shared = {piece.symbol: piece.start for piece in pieces if piece.symbol}
    return Image(target.code.origin, linked.data, labels | shared, parts)


def source(target: Target, pieces: Sequence[Piece], addresses: Mapping[str, int]) -> str:
    """The whole program as GNU-as text. Its section begins at 0, so that alignment is absolute."""
    lines = ["        .global infer", "        .text", f"        .org {target.code.origin:#x}"]
    equates = {**addresses, **_equates(target, pieces)}
    lines += [f"        .equ {symbol}, {value:#x}" for symbol, value in equates.items()]
    far = _far(target, pieces)
    first = True
    for number, piece in enumerate(pieces):
        lines.append(f"\n; {piece.part.name}: {piece.part.size} bytes\n{_marker(number)}:")
        if piece.start != piece.part.address:
            lines.append(f"        .org {piece.start:#x}")
        if first and piece.part.kind is Kind.CODE and not piece.symbol:
            lines.append("infer:")
            first = False
        lines.append(in_window(piece.text.text(), far) if far else piece.text.text())
    return "\n".join(lines) + "\n"


def _equates(target: Target, pieces: Sequence[Piece]) -> dict[str, int]:
    """Where code finds the pieces that have a symbol: the address, and where in banks, the bank."""
    found = {}
    for piece in pieces:
        if piece.symbol and target.banks and piece.part.kind in (Kind.BANKED, Kind.BANKED_CODE):
            bank, offset = divmod(piece.start - target.code.origin, target.banks.size)
            found[piece.symbol] = target.banks.window.origin + offset
            found[bank_of(piece.symbol)] = bank
        elif piece.symbol:
            found[piece.symbol] = piece.start
    return found


def _far(target: Target, pieces: Sequence[Piece]) -> dict[str, int]:
    """How far labels of code in banks lie behind where the window shows them."""
    if target.banks is None:
        return {}
    window, size = target.banks.window.origin, target.banks.size
    found = {}
    for piece in pieces:
        if piece.part.kind is Kind.BANKED_CODE:
            within = (piece.part.address - target.code.origin) % size
            found.update(dict.fromkeys(piece.text.labels, piece.part.address - window - within))
    return found


def in_window(text: str, far: Mapping[str, int]) -> str:
    """The text with labels of code in banks as the window shows them, but in relative jumps."""

    def shown(label: re.Match[str]) -> str:
        name = label[0]
        return f"{name}-{far[name]:#x}" if name in far else name

    def line(row: str) -> str:
        code, mark, comment = row.partition(";")
        if code.rstrip().endswith(":") or code.split(maxsplit=1)[:1] in (["jr"], ["djnz"]):
            return row
        return _NAME.sub(shown, code) + mark + comment

    return "\n".join(map(line, text.split("\n")))


def _check_names(pieces: Sequence[Piece], equated: Sequence[str]) -> None:
    """GNU as takes a label for an address of SRAM that has the same name."""
    names = Counter(equated)
    names.update(label for piece in pieces for label in piece.text.labels)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise CompilerError(f"two symbols are called {twice[0]}: rename a layer or a tensor")


def _marker(number: int) -> str:
    return f"part{number}"
