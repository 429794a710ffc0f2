"""Loose constants in the gaps of alignment: where they go, and that programs with them run."""

from __future__ import annotations

import pytest
from builders import graph_of, linear, single

from kernels.asm import Assembly
from kernels.avr.startup import ISA
from kernels.emit import Job
from kernels.image import Kind, Part
from kernels.ir import Graph
from kernels.passes.gaps import fill_gaps
from kernels.passes.piece import Piece
from kernels.target import find_target


def text(name: str, size: int) -> Assembly:
    out = Assembly(ISA)
    out.emit(f"{name}:")
    out.data(".byte", [0] * size)
    return out


def piece(name: str, address: int, gap: int, size: int) -> Piece:
    return Piece(Part(name, None, Kind.CODE, address, gap + size), text(name, size), None)


def job(layer: str, sizes: dict[str, int]) -> Job:
    graph: Graph = single([[1]])
    node = linear(layer, graph.input, [[1]])
    assert graph_of(node, source=graph.input)
    found = Job(node, find_target("uno"), ISA, {}, {})
    for name, size in sizes.items():
        found.anywhere().append(text(name, size))
    return found


def placed(pieces: list[Piece]) -> list[tuple[str, int, int, int]]:
    """Name, address, size, and where the text starts."""
    return [(p.part.name, p.part.address, p.part.size, p.start) for p in pieces]


PARTS = [piece("a", 0, 0, 10), piece("b", 10, 6, 10), piece("c", 26, 30, 10)]


def test_the_largest_go_first_each_into_the_smallest_gap_that_takes_it() -> None:
    found = fill_gaps(PARTS, [job("fc", {"k5": 5, "k20": 20, "k7": 7, "k40": 40})])
    assert placed(found) == [
        ("a", 0, 10, 0),
        ("fc loose constants", 10, 6, 11),  # k5, and the byte that is left of the gap
        ("b", 16, 10, 16),
        ("fc loose constants", 26, 30, 29),
        ("c", 56, 10, 56),
        ("fc loose constants", 66, 40, 66),
    ]
    assert found[3].text.labels == {"k20", "k7"}


def test_layers_have_parts_of_their_own() -> None:
    found = fill_gaps(PARTS, [job("one", {"k9": 9}), job("two", {"k10": 10})])
    assert [(p.part.layer, p.part.address, p.part.size) for p in found[2:4]] == [
        ("one", 26, 20),
        ("two", 46, 10),
    ]


@pytest.mark.parametrize("jobs", [[], [job("fc", {})]])
def test_without_loose_constants_gaps_stay(jobs: list[Job]) -> None:
    assert placed(fill_gaps(PARTS, jobs)) == placed(PARTS)
