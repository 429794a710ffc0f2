"""Bounds per element and of a sum: exact at their corners, and checked where inputs enter."""

from itertools import product

import numpy as np
import pytest
from builders import graph_of, linear, single
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kernels.dtypes import INT8, UINT8
from kernels.errors import GraphError
from kernels.ir import Bounds, Range, Tensor
from kernels.passes.ranges import prove_ranges
from kernels.reference import check_inputs

SMALL = st.integers(-3, 3)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    ends=st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=4),
    total=st.none() | st.tuples(st.integers(-9, 9), st.integers(-9, 9)),
    seed=st.integers(0, 1000),
    zero_point=SMALL,
)
def test_products_are_those_of_the_best_and_worst_input(
    ends: list[tuple[int, int]], total: tuple[int, int] | None, seed: int, zero_point: int
) -> None:
    bounds = Bounds.of(
        [min(pair) for pair in ends],
        [max(pair) for pair in ends],
        None if total is None else Range(min(total), max(total)),
    )
    assume(bounds.problem(len(ends)) is None)
    boxes = [range(low, high + 1) for low, high in zip(bounds.lows, bounds.highs, strict=True)]
    xs = np.array(list(product(*boxes)), np.int64)
    if bounds.total is not None:
        sums = xs.sum(axis=1)
        xs = xs[(sums >= bounds.total.low) & (sums <= bounds.total.high)]
    weights = np.random.default_rng(seed).integers(-4, 5, (5, len(ends)))
    least, most = bounds.products(weights, zero_point)
    values = (xs - zero_point) @ weights.T
    assert least.tolist() == values.min(axis=0).tolist()
    assert most.tolist() == values.max(axis=0).tolist()


def test_bounds_of_a_sum_narrow_the_accumulator() -> None:
    x = Tensor("x", (200,), UINT8)
    wide = linear("fc", x, np.ones((1, 200)))
    promised = Bounds.summing(200, Range(0, 255), Range(0, 81))
    assert wide.accumulator_bits(x.range) == 24
    assert wide.accumulator_bits(promised) == 16
    assert [end.tolist() for end in wide.accumulator_bounds(promised)] == [[0], [81]]


def test_each_unit_has_bounds_of_its_own() -> None:
    x = Tensor("x", (2,), INT8, bounds=Bounds.of([-1, 0], [1, 0]))
    first = linear("a", x, [[1, 100], [0, 100]], [0, 7])
    second = linear("b", first.output, [[0, 1], [2, 0]])
    ranges = prove_ranges(graph_of(first, second, source=x))
    assert ranges["a_out"] == Bounds.of([-1, 7], [1, 7])
    assert ranges["b_out"] == Bounds.of([7, -2], [7, 2])


def test_broken_promises_are_named() -> None:
    graph = single([[1, 1, 1]], bounds=Bounds.of([0, 1, 0], [3, 3, 3], Range(2, 5)))
    assert len(check_inputs(graph, np.array([[0, 2, 3], [0, 2, 0]]))) == 2
    for rows, problem in (
        ([[0, 2, 0], [0, 0, 3]], r"x: input 1 has 0 at \(1,\), outside \[1, 3\]"),
        ([[0, 2, 0], [3, 3, 0]], r"x: input 1 sums up to 6, outside \[2, 5\]"),
        ([[0, 1, 0]], r"x: input 0 sums up to 1, outside \[2, 5\]"),
    ):
        with pytest.raises(GraphError, match=problem):
            check_inputs(graph, np.array(rows))
