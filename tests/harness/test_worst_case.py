"""Upper bounds of cycles: never exceeded, not far off, and honest where they are not known."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "kernels"))

from builders import argmax, graph_of, single

from harness.run import Runner
from harness.worst_case import Bound, program_bound
from harness.worst_inputs import mutate, search_worst
from harness.worst_report import WorstCase, worst_table
from kernels.bounds import Bounds, Range
from kernels.compile import draft_graph, link_draft
from kernels.dtypes import INT16, UINT8
from kernels.emit import Job
from kernels.flow import EXIT, UnknownFlow, flow_of
from kernels.ir import Graph, Tensor
from kernels.target import find_target

UNO, CPM = find_target("uno"), find_target("cpm")


def scan(length: int) -> Graph:
    x = Tensor("x", (length,), INT16)
    return graph_of(argmax(x), source=x)


@pytest.mark.parametrize("target", [UNO, CPM])
def test_elements_that_rise_come_near_the_bound_of_argmax(target: object) -> None:
    draft = draft_graph(scan(50), target)  # type: ignore[arg-type]
    bound = program_bound(draft)
    assert bound is not None
    rising = np.arange(50) * 300
    runner = Runner(link_draft(draft))
    cycles = max(runner.infer(x).cycles for x in (rising, rising[::-1]))  # walked either way
    assert 0.7 * bound <= cycles <= bound


def test_promises_of_a_sum_lower_the_bound() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-1, 2, (40, 100))
    free = single(weights)
    few = single(weights, bounds=Bounds.summing(100, Range(0, 255), Range(0, 9)))
    bounds = [program_bound(draft_graph(g, UNO, {"fc": "index-lists"})) for g in (few, free)]
    assert bounds[0] is not None
    assert bounds[1] is not None
    assert bounds[0] < bounds[1] / 4


def job() -> Job:
    (found,) = draft_graph(scan(5), UNO).emission.jobs
    return Job(found.node, UNO, found.isa, found.ranges, {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("again:\nnop\nrjmp again", "no promise how often again runs|no path"),
        ("again:\ndec r16\nbrne again", "no promise how often again runs"),
        ("here:\nijmp", "ijmp in here"),
        ("ret", "ret outside a subroutine"),
        ("rjmp elsewhere", "rjmp    elsewhere in the layer's first lines"),
        ("rcall elsewhere\nnop", "rcall   elsewhere leaves the layer"),
        (".byte 1", r".byte   1 stands in code"),
    ],
)
def test_what_is_not_known_is_said(text: str, problem: str) -> None:
    from harness.worst_case import _layer_bound  # noqa: PLC0415

    looping = job()
    looping.code.emit(text)
    found = _layer_bound(looping)
    assert found.cycles is None
    with pytest.raises(UnknownFlow, match=problem):
        raise UnknownFlow(found.problem)


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("nop\nnop", 2),
        ("tst r16\nbreq over\nnop\nnop\nover:", 4),
        ("tst r16\nbreq over\nover:", 3),
        ("tst r16\nbreq .+2\nnop\nnop", 4),
        ("tst r16\nbreq .+4\nnop\nnop\nnop", 5),
        ("sbrc r16, 0\nnop\nnop", 3),
        ("sbrc r16, 0\nsts 256, r1\nnop", 4),
        ("ldi r16, 3\nagain:\ndec r16\nbrne again", 1 + 3 * 1 + 2 * 2 + 1),
        ("ldi r16, 3\nagain:\nnop ; #three\ndec r16\nbrne again", 1 + 3 * 2 + 2 * 2 + 1),
        ("rcall once\nrcall once", 2 * (3 + 1 + 4)),
    ],
)
def test_paths_by_hand(text: str, cycles: int) -> None:
    from harness.worst_case import _layer_bound  # noqa: PLC0415

    one = job()
    one.code.emit(text)
    one.subroutine("once").emit("nop\nret")
    one.at_most("three" if "#three" in text else "again", 3)
    assert _layer_bound(one).cycles == cycles


def test_flow_ends_behind_the_last_line() -> None:
    one = job()
    one.code.emit("breq over\nnop\nover:")
    flow = flow_of(one)
    assert flow.labels["over"] == EXIT
    assert {(edge.source, edge.target) for edge in flow.edges} >= {(0, EXIT), (1, EXIT)}


def test_the_climb_goes_up_within_the_bounds() -> None:
    rng = np.random.default_rng(1)
    graph = single(
        rng.integers(-1, 2, (30, 60)),
        bounds=Bounds.summing(60, Range(0, 255), Range(5, 40)),
        source=UINT8,
    )
    runner = Runner(link_draft(draft_graph(graph, UNO, {"fc": "index-lists"})))
    start = np.zeros((1, 60), np.int64)
    start[0, 0] = 5
    worst = search_worst(runner, start, steps=150)
    assert worst.run.cycles > 1.3 * runner.infer(start[0]).cycles
    assert graph.input.range.violation(worst.x[np.newaxis]) is None
    for _ in range(200):
        start = mutate(start.reshape(-1), graph.input.range, rng)
        assert graph.input.range.violation(start[np.newaxis]) is None


def test_the_table_says_why_a_bound_is_not_known_and_divides_by_no_cycles() -> None:
    run = Runner(link_draft(draft_graph(scan(5), UNO))).infer(np.arange(5))
    layers = (Bound("flat", 0), Bound("best", None, "ijmp in here"))
    worst = WorstCase(None, layers, run, run, {"flat": 0, "best": run.cycles})
    flat, best, *_ = worst_table(worst).rows
    assert flat == ("flat", "0", "0", "-")
    assert best == ("best", f"{run.cycles:,}", "unknown: ijmp in here", "-")
