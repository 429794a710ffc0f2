"""Bounds of every kernel: which have none, and no input exceeds those of the others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).parents[1] / "kernels"))

from builders import (
    encode_all,
    graph_of,
    linear,
    requantization,
    tiny_graph,
    with_kernels,
)
from network_strategies import networks
from strategies import batch, graphs
from test_networks import PRODUCT_BITS, WIDEST, encoded

from harness.run import Runner
from harness.worst_case import layer_bounds, program_bound
from harness.worst_inputs import search_worst
from kernels.bounds import Bounds
from kernels.choice import Choice
from kernels.compile import draft_graph, link_draft
from kernels.draft import Draft
from kernels.dtypes import UINT8
from kernels.errors import DoesNotFit, Unsupported
from kernels.ir import Graph, Range, Tensor
from kernels.target import find_target

TARGETS = ("uno", "mega", "attiny85", "cpm", "cpm-ei")
UNBOUNDED: dict[str, set[str]] = {  # which this list may only lose
    "avr": set(),
    "z80": set(),
}
BOUNDED = [
    (target, encoding)
    for target, encoding in with_kernels(*TARGETS)
    if encoding not in UNBOUNDED[find_target(target).isa]
]


def drafted(graph: Graph, target: str, encodings: dict[str, str]) -> Draft:
    """The graph's draft, if the target has kernels for it."""
    try:
        return draft_graph(graph, find_target(target), encodings)
    except (DoesNotFit, Unsupported):
        assume(False)
        raise


def assert_bounded(draft: Draft, inputs: NDArray[np.int64], seed: int) -> None:
    """Neither these inputs nor what a climb finds take more than the bounds."""
    try:
        runner = Runner(link_draft(draft))
    except DoesNotFit:
        assume(False)
    bounds = {bound.layer: bound.cycles for bound in layer_bounds(draft)}
    whole = program_bound(draft)
    assert whole is not None, layer_bounds(draft)
    runs = [runner.infer(x) for x in inputs]
    runs.append(search_worst(runner, inputs, steps=5, seed=seed).run)
    for run in runs:
        assert run.cycles <= whole, (run.layer_cycles, bounds)
        for layer, cycles in run.layer_cycles.items():
            limit = bounds[layer]
            assert limit is not None
            assert cycles <= limit, (layer, cycles, limit)


@pytest.mark.parametrize(("target", "encoding"), with_kernels(*TARGETS))
def test_only_the_kernels_listed_have_no_bound(target: str, encoding: str) -> None:
    graph = tiny_graph(encoding)
    bound, *_ = layer_bounds(draft_graph(graph, find_target(target), encode_all(graph, encoding)))
    assert (bound.cycles is None) == (encoding in UNBOUNDED[find_target(target).isa]), bound


@pytest.mark.parametrize(("target", "encoding"), BOUNDED)
@settings(
    derandomize=True,
    deadline=None,
    max_examples=6,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data(), seed=st.integers(0, 1 << 32))
def test_no_input_exceeds_the_bound(
    target: str, encoding: str, data: st.DataObject, seed: int
) -> None:
    graph = data.draw(graphs(target, encoding))
    draft = drafted(graph, target, encode_all(graph, encoding))
    assert_bounded(draft, batch(graph, seed), seed)


@pytest.mark.parametrize("encoding", WIDEST)
@pytest.mark.parametrize("target", ["uno", "attiny85", "cpm"])
@settings(
    derandomize=True,
    deadline=None,
    max_examples=30,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data(), seed=st.integers(0, 1 << 32))
def test_no_input_exceeds_the_bound_of_a_network(
    target: str, encoding: str, data: st.DataObject, seed: int
) -> None:
    weight, accumulator = WIDEST[encoding]
    bits = PRODUCT_BITS.get(target, 48)
    if encoding == "code" and target == "cpm":
        accumulator = 24
    graph = data.draw(networks(widest_weight=weight, accumulator=accumulator, product_bits=bits))
    draft = drafted(graph, target, encoded(graph, target, encoding))
    assert_bounded(draft, batch(graph, seed), seed)


@pytest.mark.parametrize(
    ("target", "encoding", "shift", "form"),
    [
        ("cpm", "threaded-lists", 2, "sums8"),
        ("cpm", "threaded-gaps", 2, "sums8"),
        ("cpm", "threaded-lists", 0, "sums8"),
        ("cpm", "threaded-lists", 3, "sums"),
    ],
)
def test_no_input_exceeds_the_bound_of_layers_with_a_form(
    target: str, encoding: str, shift: int, form: str
) -> None:
    rng = np.random.default_rng(3)
    known = Bounds.summing(60, Range(0, 90), Range(0, 99 if form == "sums8" else 4000))
    x = Tensor("x", (60,), UINT8, bounds=known)
    how = requantization(1, shift, low=0)
    first = linear("a", x, rng.integers(-1, 2, (70, 60)), 5, how, input_shift=2)
    second = linear("b", first.output, rng.integers(-2, 3, (20, 70)))
    draft = drafted(graph_of(first, second, source=x), target, {"a": encoding, "b": encoding})
    assert [job.writes and job.writes.name for job in draft.emission.jobs] == [form, None]
    inputs = np.zeros((3, 60), np.int64)
    inputs[1, :9] = 90 if form == "sums" else 11
    inputs[2] = 1
    assert_bounded(draft, inputs, 0)


@pytest.mark.parametrize("hot", [(), (0, 3, 5)])
@pytest.mark.parametrize("bias", [3, 40])
@pytest.mark.parametrize("reader", ["trits", "paged-trits", "nibble-lists"])
def test_no_input_exceeds_the_bound_of_sums_of_eight_bits(
    reader: str, bias: int, hot: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(bias)
    x = Tensor("x", (40,), UINT8, bounds=Bounds.summing(40, Range(0, 255), Range(0, 60)))
    how = requantization(1, 2, low=0)
    weights = rng.choice([-2, -1, 0, 0, 0, 1], (70, 40))
    first = linear("a", x, weights, rng.integers(-bias, bias, 70), how, input_shift=5)
    second = linear("b", first.output, rng.choice([-1, 0, 1], (20, 70)))
    choices = {"a": Choice("nibble-lists", hot), "b": Choice(reader)}
    draft = draft_graph(graph_of(first, second, source=x), find_target("uno"), choices)
    assert "a_b0_take" in draft.emission.jobs[0].limits
    inputs = np.zeros((4, 40), np.int64)
    inputs[1, :12], inputs[2, 7] = 5, 60
    inputs[3] = 1
    assert_bounded(draft, inputs, 0)
