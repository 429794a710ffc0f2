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

from builders import encode_all, tiny_graph, with_kernels
from network_strategies import networks
from strategies import batch, graphs
from test_networks import PRODUCT_BITS, WIDEST, encoded

from harness.run import Runner
from harness.worst_case import layer_bounds, program_bound
from harness.worst_inputs import search_worst
from kernels.compile import draft_graph, link_draft
from kernels.draft import Draft
from kernels.errors import DoesNotFit, Unsupported
from kernels.ir import Graph
from kernels.target import find_target

TARGETS = ("uno", "mega", "attiny85", "cpm", "cpm-ei")
UNBOUNDED = {  # which this list may only lose
    "avr": {"group-sums", "nibble-lists", "straight-line", "trits", "xnor"},
    "z80": {"threaded-gaps", "threaded-lists"},
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
        assert run.cycles <= whole
        for layer, cycles in run.layer_cycles.items():
            limit = bounds[layer]
            assert limit is not None
            assert cycles <= limit


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


@pytest.mark.parametrize("encoding", ["dense8", "index-lists"])
@pytest.mark.parametrize("target", ["cpm"])
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
