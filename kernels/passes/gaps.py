"""Gaps: what alignment skips is filled with loose constants, which their labels alone find.

1. Loose constants are taken by size, the largest first.
2. Each goes into the smallest gap that takes it; without one, behind all parts.
3. What one layer has in a gap is one part, to the first of which counts what remains of the gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from kernels.asm import Assembly
from kernels.emit import Job
from kernels.image import Kind, Part
from kernels.passes.piece import Piece


def fill_gaps(pieces: Sequence[Piece], jobs: Iterable[Job]) -> list[Piece]:
    """The pieces, at least one, in order, with the jobs' loose constants among and behind them."""
    rooms = {n: piece.start - piece.part.address for n, piece in enumerate(pieces)}
    placed: dict[int, list[tuple[str, Assembly]]] = {n: [] for n in range(len(pieces) + 1)}
    loose = [(job.node.name, text) for job in jobs for text in job.loose]
    for layer, text in sorted(loose, key=lambda one: -one[1].size):
        fitting = (n for n, room in rooms.items() if room >= text.size)
        at = min(fitting, key=rooms.__getitem__, default=len(pieces))
        placed[at].append((layer, text))
        if at in rooms:
            rooms[at] -= text.size
    filled: list[Piece] = []
    for number, piece in enumerate(pieces):
        fill = placed[number]
        filled += _joined(fill, piece.part.address, rooms[number])
        filled.append(_without_gap(piece) if fill else piece)
    return [*filled, *_joined(placed[len(pieces)], pieces[-1].end)]


def _without_gap(piece: Piece) -> Piece:
    return replace(piece, part=replace(piece.part, address=piece.start, size=piece.text.size))


def _joined(loose: Sequence[tuple[str, Assembly]], address: int, rest: int = 0) -> Iterator[Piece]:
    """What lies in one gap, as a piece for each layer; the first skips what else there is of it."""
    for layer, group in groupby(sorted(loose, key=lambda one: one[0]), key=lambda one: one[0]):
        texts = [text for _, text in group]
        joined = Assembly(texts[0].isa, texts[0].features)
        for text in texts:
            joined.append(text)
        part = Part(f"{layer} loose constants", layer, Kind.CONST, address, rest + joined.size)
        yield Piece(part, joined, None)
        address, rest = address + part.size, 0
