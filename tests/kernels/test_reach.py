"""Computed jumps into shared code on devices whose flash they do not reach the end of."""

from __future__ import annotations

import numpy as np
import pytest

from harness.run import Runner
from kernels import reference
from kernels.avr import startup
from kernels.compile import compile_graph, draft_graph
from kernels.dtypes import INT16, UINT8
from kernels.encodings import paged_trits, straight_line, trits, twin_trits
from kernels.errors import CompilerError
from kernels.image import Kind
from kernels.ir import Graph, Tensor
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.target import find_target

MEGA = find_target("mega")
HOW = Requantization(np.array([1]), 5, Rounding.FLOOR, 0, 0, 255)
LAST = Requantization(np.array([1]), 0, Rounding.FLOOR, 0, INT16.low, INT16.high)
TRITS = [trits.NAME, paged_trits.NAME, twin_trits.NAME]


def network(rng: np.random.Generator) -> Graph:
    """A layer whose straight-line code is larger than what IJMP reaches, and one behind it."""
    x = Tensor("x", (300,), UINT8)
    hidden, out = Tensor("h", (230,), UINT8), Tensor("y", (10,), INT16)
    weights = rng.choice([-2, 2], (230, 300)).astype(np.int8)
    one = Linear("one", x, hidden, weights, np.zeros(230, np.int32), HOW)
    behind = rng.choice([-1, 0, 1], (10, 230)).astype(np.int8)
    return Graph(
        "long", x, (one, Linear("two", hidden, out, behind, np.zeros(10, np.int32), LAST)), ("y",)
    )


@pytest.mark.parametrize("encoding", TRITS)
def test_handlers_are_reached_beside_much_straight_line_code(encoding: str) -> None:
    rng = np.random.default_rng(1)
    graph = network(rng)
    inputs = rng.integers(0, 256, (3, 300)) * (rng.random((3, 300)) < 0.4)
    program = compile_graph(graph, MEGA, {"one": straight_line.NAME, "two": encoding})
    assert sum(p.size for p in program.image.parts if p.kind is Kind.CODE) > startup.REACH
    want = reference.run(graph, inputs)["y"]
    assert [run.outputs["y"].tolist() for run in Runner(program).infer_all(inputs)] == want.tolist()


def test_shared_code_out_of_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network(np.random.default_rng(1))
    plan = {"one": straight_line.NAME, "two": trits.NAME}
    (shared,) = (p for p in draft_graph(graph, MEGA, plan).parts if p.name.startswith("trits"))
    monkeypatch.setattr(startup, "REACH", shared.address + shared.size - 1)
    with pytest.raises(CompilerError, match=f"{shared.name} ends at "):
        draft_graph(graph, MEGA, plan)
