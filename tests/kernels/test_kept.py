"""Sums of a graph's first inputs, kept until the next inference: exact, and refused elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
from builders import STRAIGHT_LINE, graph_of, linear, requantization
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.run import Run, Runner
from harness.worst_case import program_bound
from kernels.bounds import Bounds
from kernels.choice import Choice
from kernels.compile import compile_graph, draft_graph
from kernels.dtypes import INT16, UINT8
from kernels.errors import Unsupported
from kernels.ir import Graph, Range, Tensor
from kernels.reference import run
from kernels.target import Interrupts, Target, find_target

INPUTS, TOTAL = 21, 24
ROM = find_target("msx-rom")
SERVED = replace(ROM, interrupts=Interrupts.SERVED)
KERNELS = [
    (find_target("cpm"), "threaded-lists"),
    (find_target("cpm"), "threaded-gaps"),
    (find_target("cpm"), STRAIGHT_LINE),
    (find_target("cpm-ei"), STRAIGHT_LINE),
    (ROM, STRAIGHT_LINE),
    (SERVED, STRAIGHT_LINE),
]
EVERY = pytest.mark.parametrize(
    ("target", "encoding"), KERNELS, ids=[f"{t.name}-{t.interrupts}-{e}" for t, e in KERNELS]
)


def counting(units: int, total: int | None = TOTAL) -> Graph:
    """Counts, a ReLU, and a layer that spreads what it sees."""
    rng = np.random.default_rng(units)
    each = Range(0, 255)
    bounds = Range(0, 9) if total is None else Bounds.summing(INPUTS, each, Range(0, total))
    x = Tensor("x", (INPUTS,), UINT8, bounds=bounds)
    how = requantization(1, 2, low=0, high=INT16.high)
    weights = rng.integers(-2, 2, (units, INPUTS))
    biases = rng.integers(-9, 60, units)
    one = linear("one", x, weights, biases, how, input_shift=5, wrap=16)
    two = linear("two", one.output, rng.integers(-1, 2, (5, units)), 7, wrap=16)
    return graph_of(one, two, source=x)


def choices(encoding: str, kept: int) -> dict[str, Choice]:
    return {"one": Choice(encoding, kept=kept), "two": Choice(encoding)}


def inputs(kept: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Some with one first part, int64 (8, inputs): empty, all in one element, spread."""
    first = np.bincount(rng.integers(0, kept, 11), minlength=INPUTS)
    rest = INPUTS - kept
    rows = [np.bincount(kept + rng.integers(0, rest, n), minlength=INPUTS) for n in (0, 1, 5, 13)]
    heaped = np.eye(INPUTS, dtype=np.int64)[[kept, INPUTS - 1]] * (TOTAL - 11)
    both: NDArray[np.int64] = np.array([first + row for row in (*rows, *heaped)])
    return both


@EVERY
@pytest.mark.parametrize("units", [3, 17, 40, 300])
@pytest.mark.parametrize("kept", [1, 10])
def test_again_is_as_the_whole(target: Target, encoding: str, units: int, kept: int) -> None:
    graph, rng = counting(units), np.random.default_rng(kept)
    draft = draft_graph(graph, target, choices(encoding, kept))
    program = compile_graph(graph, target, choices(encoding, kept))
    runner, bound = Runner(program), program_bound(draft)
    assert bound is not None
    for rows in (inputs(kept, rng), inputs(kept, rng)):
        want = run(graph, rows)["two_out"]
        for number, x in enumerate(rows):
            found: list[Run] = [runner.infer_again(x)] if number else []
            for one in (*found, runner.infer(x)):
                assert np.array_equal(one.outputs["two_out"], want[number])
                assert sum(one.layer_cycles.values()) < one.cycles <= bound
            assert all(one.cycles < runner.infer(x).cycles for one in found)
            runner.infer(rows[0])


@EVERY
def test_kept_sums_stand_in_nobodys_way(target: Target, encoding: str) -> None:
    """Nothing else is laid over them, whatever ran in between."""
    program = compile_graph(counting(40), target, choices(encoding, 8))
    offsets = program.arena.offsets
    first = offsets["one_kept"]
    others = [at for symbol, at in offsets.items() if symbol != "one_kept" and at >= first]
    assert all(at >= first + 40 for at in others)


def test_what_is_not_kept_is_noticed() -> None:
    graph = counting(9)
    runner = Runner(compile_graph(graph, ROM, choices(STRAIGHT_LINE, 8)))
    x = np.zeros(INPUTS, np.int64)
    with pytest.raises(HarnessError, match="first 8 inputs are not those of the last whole run"):
        runner.infer_again(x)
    runner.infer(x)
    runner.infer_again(x + (np.arange(INPUTS) == 8))
    with pytest.raises(HarnessError, match="first 8 inputs are not those of the last whole run"):
        runner.infer_again(x + (np.arange(INPUTS) == 7))
    runner.infer(x)
    runner.stop_after(x, 100)
    with pytest.raises(HarnessError, match="first 8 inputs are not those of the last whole run"):
        runner.infer_again(x)
    plain = Runner(compile_graph(graph, ROM, choices(STRAIGHT_LINE, 0)))
    plain.infer(x)
    with pytest.raises(HarnessError, match="net keeps no sums"):
        plain.infer_again(x)


@pytest.mark.parametrize(
    ("graph", "plan", "message"),
    [
        (counting(9), {"one": Choice("dense8", kept=3)}, "encoding dense8 keeps no sums of inputs"),
        (counting(9), {"two": Choice(STRAIGHT_LINE, kept=3)}, "first layer, one, of 1 to 20"),
        (counting(9), {"one": Choice(STRAIGHT_LINE, kept=21)}, "first layer, one, of 1 to 20"),
        (counting(9), {"one": Choice("threaded-lists", kept=-1)}, "of 1 to 20"),
        (counting(9, None), choices(STRAIGHT_LINE, 3), "one: sums of inputs are kept where"),
        (counting(9, None), choices("threaded-lists", 3), "one: sums of inputs are kept where"),
    ],
)
def test_refusals(graph: Graph, plan: dict[str, Choice], message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        compile_graph(graph, ROM, plan)
