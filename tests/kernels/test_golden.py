"""Golden listings: a change of any emitted line, byte or cycle shows as a diff.

Write them anew with `pytest tests/kernels --update-golden`, and read what changed.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import encode_all, tiny_graph, with_kernels

from kernels.compile import decide
from kernels.passes.emission import emit_layers
from kernels.passes.layout import lay_out, startup_of
from kernels.target import find_target

GOLDEN = Path(__file__).parent / "golden"
CASES = [
    (target, far, encoding)
    for target, far in (("uno", False), ("mega", True), ("cpm", False))
    for _, encoding in with_kernels(target)
] + [("msx-rom", False, "straight-line")]


def file_name(target: str, encoding: str) -> str:
    return f"{target}-{encoding}.lst"


@pytest.mark.parametrize(("target", "far", "encoding"), CASES)
def test_listing(
    target: str, far: bool, encoding: str, check_golden: Callable[[Path, str], None]
) -> None:
    graph, machine = tiny_graph(encoding), find_target(target)
    plan = decide(graph, machine, encode_all(graph, encoding))
    emission = emit_layers(graph, machine, startup_of(machine).ISA, plan, far=far)
    rows = []
    for piece in lay_out(emission, machine):
        part = piece.part
        if piece.symbol is None:  # what layers share is tested on its own
            rows.append(f"; {part.name} ({part.kind}) at {part.address:#06x}, {part.size} bytes\n")
            rows.append(piece.text.listing())
    check_golden(GOLDEN / file_name(target, encoding), "".join(rows))


def test_no_listing_is_left_over() -> None:
    names = {file_name(target, encoding) for target, _, encoding in CASES}
    assert {path.name for path in GOLDEN.iterdir()} == names
