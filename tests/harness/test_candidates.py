"""Ways to hold a layer's weights: what kernels say of profiles is what they do."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.candidates import Candidates, hot_sets, weighted_layers
from kernels import reference
from kernels.choice import Choice
from kernels.compile import draft_graph
from kernels.dtypes import INT16, UINT8
from kernels.emit import kernels_for
from kernels.ir import Graph, Tensor
from kernels.ops.linear import Linear
from kernels.passes.encoding import encoding_problems
from kernels.passes.ranges import prove_ranges
from kernels.quant import Requantization, Rounding
from kernels.target import find_target

HOW = Requantization(np.array([1]), 0, Rounding.FLOOR, 0, INT16.low, INT16.high)
INPUTS = 24
EVERY = tuple(range(INPUTS))
SELDOM = (0.001,) * INPUTS


def alike(values: tuple[int, ...]) -> Graph:
    """One layer whose rows are alike in pairs, so that sums may be shared."""
    rng = np.random.default_rng(7)
    weights = np.repeat(rng.choice(values, (4, INPUTS)), 2, axis=0).astype(np.int8)
    weights[::2, 0] = values[0]
    x, y = Tensor("x", (INPUTS,), UINT8), Tensor("y", (8,), INT16)
    return Graph("alike", x, (Linear("fc", x, y, weights, np.zeros(8, np.int32), HOW),), ("y",))


def written(graph: Graph, target: str, choice: Choice) -> str:
    draft = draft_graph(graph, find_target(target), {"fc": choice})
    return "".join(piece.text.text() for piece in draft.pieces)


def changes(graph: Graph, target: str, encoding: str) -> set[str]:
    """The fields of a choice that change what is written."""
    plain = written(graph, target, Choice(encoding))
    profiles = {"hot": Choice(encoding, hot=EVERY), "rates": Choice(encoding, rates=SELDOM)}
    return {field for field, told in profiles.items() if written(graph, target, told) != plain}


@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_a_profile_changes_what_is_written_where_a_kernel_says_so(target: str) -> None:
    changed: dict[str, set[str]] = {}
    for graph in (alike((-1, 1)), alike((-1, 0, 1)), alike((-2, -1, 0, 1))):
        (layer,) = weighted_layers(graph)
        problems = encoding_problems(layer, find_target(target), graph.input.range)
        for name in (name for name, problem in problems.items() if problem is None):
            changed[name] = changed.get(name, set()) | changes(graph, target, name)
    kernels = kernels_for(find_target(target).isa, Linear)
    assert changed == {name: set(kernels[name].profile) for name in changed}
    assert set(kernels) - set(changed) <= {"xnor"}  # which reads bits


def found(target: str, xs: NDArray[np.int64]) -> dict[str, list[Choice]]:
    graph = alike((-1, 0, 1))
    finder = Candidates(find_target(target), prove_ranges(graph), reference.run(graph, xs))
    choices = finder.of(*weighted_layers(graph))
    names = {choice.encoding for choice in choices}
    return {name: [one for one in choices if one.encoding == name] for name in names}


def test_choices_tell_what_was_seen_of_inputs() -> None:
    xs = np.zeros((3, INPUTS), np.int64)
    xs[:2, 5] = xs[0, 6] = 1
    rates = tuple({5: 0.667, 6: 0.333}.get(number, 0.0) for number in EVERY)
    avr, z80 = found("uno", xs), found("cpm", xs)
    assert avr["dense8"] == [Choice("dense8")]
    assert avr["nibble-lists"] == [Choice("nibble-lists", hot) for hot in ((), (5,), (5, 6), EVERY)]
    assert z80["threaded-lists"] == [
        Choice("threaded-lists"),
        Choice("threaded-lists", rates=rates),
    ]
    gaps = [Choice("threaded-gaps", hot, rates) for hot in ((), (5,), (5, 6), EVERY)]
    assert z80["threaded-gaps"] == [Choice("threaded-gaps"), *gaps]


def test_the_last_set_of_hot_inputs_is_of_all() -> None:
    assert hot_sets(np.zeros(3), np.ones(3)) == [(0, 1, 2)]
