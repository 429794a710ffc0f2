"""What is emitted may differ from the user's graph; what it computes may not."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from builders import (
    DENSE8,
    INDEX_LISTS,
    argmax,
    compile_with,
    differences,
    graph_of,
    linear,
    requantization,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import batch, graphs

from kernels.compile import lower
from kernels.dtypes import UINT8
from kernels.ir import Graph, Node, Range, Tensor, verify
from kernels.ops.linear import Linear
from kernels.reference import run

X = Tensor("x", (3,), UINT8)
RELU = requantization(low=0)


def net(
    hidden: Sequence[Sequence[int]],
    bias: Sequence[int],
    last: Sequence[Sequence[int]],
    *,
    wrap: int | None = None,
    outputs: Sequence[str] = (),
) -> Graph:
    """Two layers; the hidden one has a ReLU."""
    first = linear("a", X, hidden, bias, RELU)
    second = linear("b", first.output, last, [1] * len(last), wrap=wrap, input_shift=1)
    return graph_of(first, second, source=X, outputs=outputs)


def layer(graph: Graph, name: str) -> Linear:
    (node,) = (node for node in graph.nodes if node.name == name)
    assert isinstance(node, Linear)
    return node


def test_units_that_never_vary_go_into_the_next_bias() -> None:
    graph = net([[1, 0, 0], [-1, -2, 0], [0, 0, 0], [0, 1, 0]], [0, 0, 5, 0], [[1, 2, 3, 4]])
    lowered = lower(graph)
    assert layer(lowered, "a").weights.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert layer(lowered, "b").weights.tolist() == [[1, 4]]
    assert layer(lowered, "b").bias.tolist() == [1 + (3 * 5 << 1)]
    verify(lowered)


def test_units_that_no_weight_uses_go_and_take_others_with_them() -> None:
    first = linear("a", X, [[1, 0, 0], [0, 1, 0]], 0, RELU)
    second = linear("b", first.output, [[1, 0], [0, 1]], 0, RELU)
    third = linear("c", second.output, [[0, 1]])
    lowered = lower(graph_of(first, second, third, source=X))
    assert [layer(lowered, name).weights.tolist() for name in "abc"] == [[[0, 1, 0]], [[1]], [[1]]]


def test_channels_keep_their_multipliers_and_zero_points() -> None:
    how = requantization([3, 5, 7], 1, zero_point=-4, low=-4)
    first = linear("a", X, [[1, 0, 0], [-1, 0, 0], [0, 0, 1]], [0, -1, 0], how)
    second = linear("b", first.output, [[1, 2, 3]])
    graph = graph_of(first, second, source=X)
    lowered = lower(graph)
    assert layer(lowered, "a").requantization.multiplier.tolist() == [3, 7]
    assert layer(lowered, "b").input.shape == (2,)
    x = np.array([[0, 0, 0], [255, 9, 1], [3, 255, 255]])
    assert run(graph, x)["b_out"].tolist() == run(lowered, x)["b_out"].tolist()


@pytest.mark.parametrize("outputs", [("a_out",), ("a_out", "b_out")])
def test_the_user_s_outputs_stay_whole(outputs: Sequence[str]) -> None:
    graph = net([[-1, 0, 0], [0, 1, 0]], [0, 0], [[1, 1]], outputs=outputs)
    assert lower(graph).tensors["a_out"].shape == (2,)


def test_what_an_op_reads_whole_stays_whole() -> None:
    first = linear("a", X, [[-1, 0, 0], [0, 1, 0]], 0, RELU)
    graph = graph_of(first, argmax(first.output), source=X)
    assert lower(graph) is graph


def test_one_unit_of_a_dead_layer_stays() -> None:
    graph = net([[-1, 0, 0], [0, -1, 0]], [0, 3], [[1, 0]])
    lowered = lower(graph)
    assert layer(lowered, "a").weights.tolist() == [[-1, 0, 0]]
    x = np.array([[0, 0, 0], [9, 9, 9]])
    assert run(graph, x)["b_out"].tolist() == run(lowered, x)["b_out"].tolist()


def test_a_bias_beyond_32_bits_wraps_where_the_layer_does_and_else_is_not_made() -> None:
    big = (1 << 31) - 2 * 32767 - 1
    graph = net([[0, 0, 0], [1, 0, 0]], [32767, 0], [[2, -2]], wrap=16)
    first, second = layer(graph, "a"), layer(graph, "b")
    wrapping = replace(graph, nodes=(first, replace(second, bias=np.array([big], np.int32))))
    lowered = lower(wrapping)
    assert layer(lowered, "a").weights.tolist() == [[1, 0, 0]]
    x = np.array([[0, 0, 0], [255, 0, 0]])
    assert run(wrapping, x)["b_out"].tolist() == run(lowered, x)["b_out"].tolist()


def test_a_bias_that_32_bits_do_not_hold_is_not_made() -> None:
    source = replace(X, bounds=Range(200, 255))
    first = linear("a", source, [[0, 0, 0], [1, 0, 0]], [32767, 0], RELU)
    bias = (1 << 31) - 1 - 32767 + 100
    second = linear("b", first.output, [[1, -1]], bias)
    graph = graph_of(first, second, source=source)
    assert lower(graph) is graph
    smaller = replace(graph, nodes=(first, linear("b", first.output, [[1, -1]], bias - 100)))
    assert layer(lower(smaller), "b").bias.tolist() == [(1 << 31) - 1]


@pytest.mark.parametrize("encoding", [DENSE8, INDEX_LISTS])
@settings(derandomize=True, deadline=None, max_examples=100)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_random_graphs_compute_the_same(encoding: str, data: st.DataObject, seed: int) -> None:
    graph = data.draw(graphs("uno", encoding))
    lowered = lower(graph)
    verify(lowered)
    assert (lowered.input, lowered.outputs) == (graph.input, graph.outputs)
    x = batch(graph, seed)
    want, got = run(graph, x), run(lowered, x)
    for name in graph.outputs:
        assert got[name].tolist() == want[name].tolist()


@pytest.mark.parametrize("target", ["uno", "cpm"])
@pytest.mark.parametrize("encoding", [DENSE8, INDEX_LISTS])
def test_programs_are_smaller_and_exact(target: str, encoding: str) -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-2, 3, (40, 3))
    weights[::2] = np.minimum(weights[::2], 0)
    graph = net(weights.tolist(), [0] * 40, rng.integers(-2, 3, (5, 40)).tolist())
    program = compile_with(graph, target, encoding)
    assert program.graph is graph
    assert layer(program.lowered, "a").output.count <= 20
    assert list(program.layer_starts) == ["a", "b"]
    assert program.layer_sram["a"] < 3 + 2 * 40 + 256 * 3
    assert differences(program, rng.integers(0, 256, (20, 3))) == []
    nodes: tuple[Node, ...] = program.graph.nodes
    assert nodes == graph.nodes
