"""A program's source line by line, with the addresses and bytes that each line became."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from kernels.image import Program
from kernels.toolchain import line_addresses

_SHOWN = 8  # bytes of a line


@dataclass(frozen=True, slots=True)
class ListedLine:
    """A line of the source. address: None where it became no bytes. number: from 1."""

    number: int
    text: str
    address: int | None = None
    data: bytes = b""

    def __str__(self) -> str:
        if self.address is None:
            return f"{'':24}{self.text}".rstrip()
        more = ".." if len(self.data) > _SHOWN else ""
        return f"{self.address:05x} {self.data[:_SHOWN].hex()}{more:<2}".ljust(24) + self.text


def list_program(program: Program) -> list[ListedLine]:
    """Every line of the program's source; lines that only skip to an address have no bytes."""
    addresses = line_addresses(program.source, program.target)
    texts = program.source.splitlines()
    filled = {n: at for n, at in addresses.items() if texts[n - 1].split()[0] != ".org"}
    ends = _ends(program, sorted(filled.values()))
    origin, data = program.image.origin, program.image.data
    lines = []
    for number, text in enumerate(texts, start=1):
        at = filled.get(number)
        if at is None:
            lines.append(ListedLine(number, text))
        else:
            lines.append(ListedLine(number, text, at, data[at - origin : ends[at] - origin]))
    return lines


def _ends(program: Program, starts: list[int]) -> dict[int, int]:
    """Where the bytes of a line end: before the next line's, or before alignment."""
    ends = dict(pairwise(starts)) | {starts[-1]: program.image.origin + program.flash}
    for part in program.image.parts:
        before = bisect_right(starts, part.address - 1) - 1
        if before >= 0:
            ends[starts[before]] = min(ends[starts[before]], part.address)
    return ends
