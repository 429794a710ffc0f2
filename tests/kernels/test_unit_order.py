"""The order of hidden units: what an encoding gains by it, and that outputs do not change."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from builders import NIBBLE_LISTS, PAGED_TRITS, TRITS, differences, graph_of, linear, requantization
from numpy.typing import NDArray

from kernels.choice import Choice
from kernels.compile import compile_graph, decide, draft_graph, lower
from kernels.dtypes import INT16, UINT8
from kernels.encodings import dense8, find_encoding, nibble_lists, trits, twin_trits
from kernels.grouping import Grouping, arrange
from kernels.ir import Graph, Tensor, verify
from kernels.ops.linear import Linear
from kernels.passes.unit_order import GroupsRows, hides_units, order_units, unit_order
from kernels.reference import run
from kernels.target import find_target

UNO = find_target("uno")
RELU = requantization(low=0)
GROUPED = [NIBBLE_LISTS, PAGED_TRITS, TRITS]


def sparse(seed: int, rows: int, columns: int, density: float = 0.3) -> NDArray[np.int8]:
    """Weights of -1 and 1, and a 2 here and there."""
    rng = np.random.default_rng(seed)
    weights = rng.choice([-1, 1], (rows, columns)) * (rng.random((rows, columns)) < density)
    weights[rng.random((rows, columns)) < 0.005] = 2
    return weights.astype(np.int8)


def network(hidden: int = 45) -> Graph:
    """Three layers, of which the last one's units are the user's."""
    x = Tensor("x", (40,), UINT8)
    one = linear("one", x, sparse(1, hidden, 40), 1, requantization(shift=3, low=0))
    two = linear("two", one.output, sparse(2, hidden, hidden), 2, RELU)
    three = linear("three", two.output, sparse(3, 12, hidden))
    return graph_of(one, two, three, source=x)


def cost(grouping: Grouping, order: NDArray[np.int64]) -> int:
    """What groups of rows in an order cost, counted one by one."""
    total = 0
    for start in range(0, len(order), grouping.size):
        kinds = grouping.kinds[order[start : start + grouping.size]]
        counts = np.stack([(kinds == kind).sum(axis=0) for kind in range(grouping.count)])
        counts[0] += grouping.size - len(kinds)
        total += int(grouping.cost(counts.astype(np.int64)).sum())
    return total


@pytest.mark.parametrize("rows", [14, 15, 33, 60])
@pytest.mark.parametrize("encoding", [nibble_lists, trits, twin_trits])
def test_groups_cost_less_and_no_swap_of_two_rows_saves(encoding: GroupsRows, rows: int) -> None:
    grouping = encoding.grouping(sparse(rows, rows, 20))
    order = arrange(grouping)
    assert sorted(order) == list(range(rows))
    least, first = cost(grouping, order), cost(grouping, np.arange(rows))
    assert least < first or rows <= grouping.size
    for one, other in permutations(range(rows), 2):
        swapped = order.copy()
        swapped[[one, other]] = order[[other, one]]
        assert cost(grouping, swapped) >= least


@pytest.mark.parametrize("rows", [3, 5, 10, 13, 15, 20, 41])
def test_twin_trits_put_the_costlier_five_outputs_first(rows: int) -> None:
    """The costlier half of the groups are the first ones of ten; a smaller group stays last."""
    grouping = twin_trits.grouping(sparse(rows, rows, 30))
    order, plain = arrange(grouping), arrange(replace(grouping, by_turns=False))
    size = grouping.size
    groups = [order[at : at + size].tolist() for at in range(0, rows, size)]
    assert sorted(groups) == sorted(plain[at : at + size].tolist() for at in range(0, rows, size))
    assert groups[-1] == plain[(len(groups) - 1) * size :].tolist()
    costs = [cost(grouping, np.array(group)) for group in groups[:-1]]
    assert min(costs[::2], default=0) >= max(costs[1::2], default=-np.inf)


def test_a_matrix_that_would_take_too_long_keeps_its_order() -> None:
    kinds = np.random.default_rng(1).integers(0, 2, (2000, 100)).astype(np.uint8)
    grouping = Grouping(5, kinds, 2, lambda counts: counts[1] % 2)
    assert arrange(grouping).tolist() == list(range(2000))


def test_lists_of_nibbles_get_shorter() -> None:
    weights = sparse(4, 126, 60, 0.15)
    order = arrange(nibble_lists.grouping(weights))
    before, after = (
        sum(len(column.data) for column in nibble_lists.encode(rows, frozenset()))
        for rows in (weights, weights[order])
    )
    saved = cost(nibble_lists.grouping(weights), np.arange(126)) - cost(
        nibble_lists.grouping(weights), order
    )
    assert saved > 50
    assert before - after > saved / 4  # two dummies are a byte, and half bytes are lost at ends


def test_patterns_cost_what_the_encoding_says() -> None:
    weights = sparse(4, 42, 30)
    blocks = [trits.encode(rows) for rows in trits.row_blocks(weights)]
    pairs = sum(int((block.codes >= len(trits.PATTERNS)).sum()) for block in blocks)
    zeros = sum(int((block.codes == 0).sum()) for block in blocks)
    wanted = trits.PAIR_COST * pairs + trits.ZERO_COST * zeros
    assert cost(trits.grouping(weights), np.arange(42)) == wanted


@pytest.mark.parametrize("encoding", GROUPED)
def test_programs_stay_exact_and_take_no_more_bytes(encoding: str) -> None:
    graph = network()
    choices = dict.fromkeys(("one", "two", "three"), encoding)
    draft = draft_graph(graph, UNO, choices)
    weights = {node.name: node.weights for node in draft.lowered.nodes if isinstance(node, Linear)}
    before = {node.name: node.weights for node in lower(graph).nodes if isinstance(node, Linear)}
    for name in ("one", "two"):
        assert not np.array_equal(weights[name], before[name])
        assert sorted(map(sum, weights[name])) == sorted(map(sum, before[name]))
    program = compile_graph(graph, UNO, choices)
    inputs = np.random.default_rng(9).integers(0, 256, (6, 40))
    assert differences(program, inputs) == []
    pinned = replace(graph, outputs=("one_out", "two_out", *graph.outputs))
    assert draft.flash < draft_graph(pinned, UNO, choices).flash


def test_what_a_choice_tells_of_inputs_moves_with_them() -> None:
    graph = network()
    hot = (3, 7, 30)
    rates = tuple(number / 100 for number in range(45))
    plan = decide(graph, UNO, {"one": "trits", "two": Choice(NIBBLE_LISTS, hot, rates)})
    ordered, told = order_units(graph, plan)
    verify(ordered)
    first = next(node for node in graph.nodes if node.name == "one")
    order = unit_order(first, plan.choices["one"])
    assert order is not None
    assert [int(order[place]) for place in told.choices["two"].hot] == [
        unit for unit in order if unit in hot
    ]
    assert told.choices["two"].rates == tuple(rates[unit] for unit in order)
    assert draft_graph(graph, UNO, plan.choices).plan.choices == plan.choices
    x = np.random.default_rng(2).integers(0, 256, (5, 40))
    assert np.array_equal(run(ordered, x)["three_out"], run(graph, x)["three_out"])
    assert np.array_equal(run(ordered, x)["one_out"], run(graph, x)["one_out"][:, order])


def test_units_that_somebody_sees_stay() -> None:
    graph = network()
    assert [hides_units(graph, node.name) for node in graph.nodes] == [True, True, False]
    seen = replace(graph, outputs=("one_out", *graph.outputs))
    assert [hides_units(seen, node.name) for node in seen.nodes] == [False, True, False]
    plan = decide(seen, UNO, dict.fromkeys(("one", "two"), "trits"))
    ordered, _ = order_units(seen, plan)
    assert np.array_equal(ordered.nodes[0].weights, seen.nodes[0].weights)  # type: ignore[attr-defined]


def test_an_encoding_to_which_all_orders_are_alike_changes_nothing() -> None:
    graph = network()
    plan = decide(graph, UNO, dict.fromkeys(("one", "two", "three"), "dense8"))
    assert order_units(graph, plan) == (graph, plan)
    assert not isinstance(dense8, GroupsRows)
    assert all(isinstance(find_encoding(name), GroupsRows) for name in GROUPED)


def test_an_order_that_the_encoding_cannot_hold_is_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = network().nodes[0]
    assert unit_order(first, Choice("trits")) is not None
    monkeypatch.setattr(trits, "problem", lambda *_: "cannot")
    assert unit_order(first, Choice("trits")) is None


def test_int16_inputs_move_as_well() -> None:
    x = Tensor("x", (20,), INT16)
    one = linear("one", x, sparse(5, 30, 20), 0, RELU)
    two = linear("two", one.output, sparse(6, 5, 30))
    program = compile_graph(graph_of(one, two, source=x), UNO, dict.fromkeys(("one", "two"), TRITS))
    inputs = np.random.default_rng(3).integers(-99, 99, (5, 20))
    assert differences(program, inputs) == []
