"""Rules of graphs, each broken once; what is refused as an input; read-only arrays."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import argmax, graph_of, linear, tiny_graph

from kernels.dtypes import DTYPES, INT8, INT16, UINT8
from kernels.errors import GraphError
from kernels.ir import Bounds, Graph, Range, Tensor, frozen_array, verify
from kernels.reference import check_inputs, run

X = Tensor("x", (2,), UINT8)
FC = linear("fc", X, [[1, 2], [3, 4], [5, 6]], [7, 8, 9])
BEST = argmax(FC.output)


def with_layer(**changes: Any) -> Graph:
    return graph_of(replace(FC, **changes), source=X)


def with_output(**changes: Any) -> Graph:
    return with_layer(output=replace(FC.output, **changes))


def with_input(**changes: Any) -> Graph:
    return graph_of(FC, source=replace(X, **changes))


def with_requantization(**changes: Any) -> Graph:
    return with_layer(requantization=replace(FC.requantization, **changes))


def with_argmax(**changes: Any) -> Graph:
    return graph_of(FC, replace(BEST, **changes), source=X)


def two_layers(**changes: Any) -> Graph:
    second = linear("second", FC.output, [[1, 1, 1]])
    return graph_of(FC, replace(second, **changes), source=X)


def many(count: int) -> Graph:
    x = Tensor("x", (count,), UINT8)
    return graph_of(argmax(x), source=x)


def summing(low: int, high: int) -> Bounds:
    """Two elements of 0..2, and bounds of their sum."""
    return Bounds.summing(2, Range(0, 2), Range(low, high))


WIDE = np.ones((3, 3), np.int8)
BROKEN: list[tuple[Callable[[], Graph], str, str]] = [
    (lambda: with_layer(name="no name"), "no name", "valid identifier"),
    (lambda: with_layer(input=replace(X, name="q")), "fc", "reads 'q', which no earlier node"),
    (lambda: with_output(name="x"), "fc", "writes 'x', which exists already"),
    (lambda: with_output(name="1st"), "1st", "valid identifier"),
    (lambda: with_input(name="a-b"), "a-b", "valid identifier"),
    (lambda: with_layer(name="größe"), "größe", "valid identifier, in ASCII"),
    (lambda: with_output(name="größe"), "größe", "valid identifier, in ASCII"),
    (lambda: with_input(shape=()), "x", "shape () is empty"),
    (lambda: with_input(shape=(2, 0)), "x", "shape (2, 0) is empty"),
    (lambda: with_input(scale=0.0), "x", "scale 0.0 is not a positive number"),
    (lambda: with_input(scale=float("inf")), "x", "scale inf is not a positive number"),
    (lambda: with_output(scale=float("nan")), "fc_out", "scale nan is not a positive number"),
    (lambda: with_input(bounds=Range(-1, 5)), "x", "are outside uint8"),
    (lambda: with_input(bounds=Range(0, 256)), "x", "are outside uint8"),
    (lambda: with_input(bounds=Range(5, 4)), "x", "bounds [5, 4] are empty"),
    (lambda: with_input(bounds=Bounds.of([0], [1])), "x", "of 1 elements, the tensor has 2"),
    (lambda: with_input(bounds=Bounds.of([0, 3], [1, 2])), "x", "of an element are empty"),
    (lambda: with_input(bounds=Bounds.of([0, 0], [1, 256])), "x", "[0, 256] are outside uint8"),
    (lambda: with_input(bounds=summing(5, 9)), "x", "no elements within their bounds sum up to"),
    (lambda: with_input(zero_point=256), "x", "zero point 256 is outside uint8"),
    (lambda: with_input(dtype=INT8, zero_point=-129), "x", "zero point -129 is outside int8"),
    (lambda: with_input(zero_point=3), "fc", "was built for input"),
    (lambda: with_layer(weights=FC.weights.astype(np.int16)), "fc", "weights must be int8"),
    (lambda: with_layer(bias=FC.bias.astype(np.int64)), "fc", "bias int32"),
    (lambda: with_layer(weights=WIDE), "fc", "weights have shape (3, 3), expected (out, 2)"),
    (lambda: with_layer(weights=FC.weights[0]), "fc", "weights have shape (2,)"),
    (lambda: with_layer(bias=FC.bias[:2]), "fc", "bias has shape (2,), expected (3,)"),
    (lambda: with_output(shape=(4,)), "fc", "output has shape (4,), expected (3,)"),
    (lambda: with_layer(input_shift=-1), "fc", "input_shift -1 is outside [0, 8]"),
    (lambda: with_layer(input_shift=9), "fc", "input_shift 9 is outside [0, 8]"),
    (lambda: with_layer(wrap=8), "fc", "wrap 8 is none of 16, 24, 32"),
    (
        lambda: with_requantization(multiplier=np.array([1, 2])),
        "fc",
        "multiplier has shape (2,), expected (1,) or (3,)",
    ),
    (lambda: with_requantization(shift=32), "fc", "shift 32 is outside"),
    (lambda: with_requantization(high=32768), "fc", "[-32768, 32768] is outside int16"),
    (lambda: with_requantization(zero_point=1), "fc", "is not the output tensor's"),
    (lambda: with_argmax(input=replace(FC.output, dtype=INT8)), "best", "was built for input"),
    (lambda: with_argmax(output=Tensor("y", (2,), UINT8)), "best", "must be uint8 (1,)"),
    (lambda: with_argmax(output=Tensor("y", (1,), INT16)), "best", "must be uint8 (1,)"),
    (lambda: many(257), "best", "257 elements; an index of one byte reaches 256"),
    (lambda: two_layers(name="fc"), "net", "two layers have the same name"),
    (lambda: Graph("net", X, (), ("x",)), "net", "at least one node and one output"),
    (lambda: Graph("net", X, (FC,), ()), "net", "at least one node and one output"),
    (lambda: graph_of(FC, source=X, outputs=("z",)), "net", "output 'z' is no node's tensor"),
    (lambda: graph_of(FC, source=X, outputs=("x",)), "net", "output 'x' is no node's tensor"),
]


@pytest.mark.parametrize(("build", "node", "problem"), BROKEN, ids=[case[2] for case in BROKEN])
def test_a_broken_rule_is_named(build: Callable[[], Graph], node: str, problem: str) -> None:
    with pytest.raises(GraphError) as caught:
        verify(build())
    assert caught.value.node == node
    assert problem in caught.value.problem
    assert str(caught.value) == f"{node}: {caught.value.problem}"


@pytest.mark.parametrize(
    "graph",
    [
        tiny_graph(),
        with_layer(wrap=32, input_shift=8),
        with_input(),
        many(256),
        two_layers(),
        graph_of(FC, BEST, source=X, outputs=("winner", "fc_out")),
    ],
)
def test_legal_graphs_pass(graph: Graph) -> None:
    verify(graph)


def test_tensors_by_name_and_by_node() -> None:
    graph = tiny_graph()
    assert list(graph.tensors) == ["x", "fc_out", "winner"]
    assert graph.inputs_of(graph.nodes[1]) == (graph.nodes[0].output,)


def test_sizes_of_tensors_and_dtypes() -> None:
    image = Tensor("image", (3, 4), INT16)
    assert (image.count, image.size, image.range) == (12, 24, Range(-32768, 32767))
    assert {name: (t.size, t.low, t.high, t.numpy.str) for name, t in DTYPES.items()} == {
        "uint1": (1, 0, 1, "|u1"),
        "uint8": (1, 0, 255, "|u1"),
        "int8": (1, -128, 127, "|i1"),
        "int16": (2, -32768, 32767, "<i2"),
    }


def small_graph() -> Graph:
    x = Tensor("x", (2, 2), INT8, bounds=Range(-4, 5))
    return graph_of(linear("fc", x, [[1, 2, 3, 4]], 5), source=x)


def test_inputs_within_bounds_are_taken() -> None:
    batch = np.array([[[-4, 5], [0, 1]], [[5, 5], [5, 5]]], np.int8)
    assert check_inputs(small_graph(), batch).dtype == np.int64
    values = run(small_graph(), batch)
    assert values["x"].shape == (2, 2, 2)
    assert values["fc_out"].tolist() == [[5 - 4 + 10 + 4], [5 + 50]]


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        (np.zeros((1, 2, 2)), "inputs are float64; quantize them to int8"),
        (np.zeros((1, 2, 2), bool), "inputs are bool; quantize them to int8"),
        (np.zeros((2, 2), np.int8), "inputs have shape (2, 2), expected (batch, (2, 2))"),
        (np.zeros((1, 4), np.int8), "inputs have shape (1, 4), expected (batch, (2, 2))"),
        (
            np.array([[[0, 0], [0, 0]], [[0, 6], [9, 0]]]),
            "input 1 has 6 at (0, 1), outside [-4, 5]",
        ),
        (np.array([[[0, 0], [-5, 0]]]), "input 0 has -5 at (1, 0), outside [-4, 5]"),
    ],
)
def test_inputs_are_refused(batch: np.ndarray[Any, Any], problem: str) -> None:
    with pytest.raises(GraphError) as caught:
        run(small_graph(), batch)
    assert (caught.value.node, caught.value.problem) == ("x", problem)


def test_frozen_array_is_a_read_only_copy() -> None:
    source = np.array([1, -2, 127])
    frozen = frozen_array(source, np.int8)
    source[0] = 99
    assert frozen.dtype == np.int8
    assert frozen.tolist() == [1, -2, 127]
    with pytest.raises(ValueError, match="read-only"):
        frozen[0] = 3
    assert frozen_array([1.0, 2.0], np.int8).tolist() == [1, 2]  # type: ignore[list-item]


@pytest.mark.parametrize("values", [[128], [-129], [0.5], [1 << 40]])
def test_frozen_array_refuses_what_the_cast_would_change(values: list[int]) -> None:
    with pytest.raises(ValueError, match="values do not fit int8"):
        frozen_array(values, np.int8)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_frozen_array_refuses_what_is_no_number(value: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        frozen_array(np.array([value]), np.int8)
