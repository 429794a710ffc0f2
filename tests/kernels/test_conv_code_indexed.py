"""Convolutions on Z80 with weights as displacements: bit-exact, where they serve, their cycles."""

import numpy as np
import pytest
from builders import differences, graph_of, requantization
from test_network_cycles import cycles

from harness.run import Runner
from harness.worst_case import program_bound
from kernels.compile import compile_graph, draft_graph
from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.ir import Graph, Range, Tensor
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.target import find_target

Pair = tuple[int, int]
IMAGE = (5, 6, 4)
NAME = "triangle_windows"  # the table that only this loop reads


def conv(
    shape: tuple[int, int, int] = IMAGE,
    size: Pair = (3, 3),
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    *,
    outputs: int = 4,
    source: DType = INT8,
    target: DType = INT8,
    zero_point: int = 0,
    bounds: Range | None = None,
    shift: int = 16,
    multiplier: int | None = None,
) -> Graph:
    """A layer of sums that wrap at 16 bits, with weights at both ends and in between."""
    rng = np.random.default_rng(outputs)
    weights = rng.integers(-128, 127, (outputs, shape[2], *size), np.int8, endpoint=True)
    weights[0], weights[1] = -128, 127
    x = Tensor("x", shape, source, zero_point=zero_point, bounds=bounds)
    rows, columns = (
        (extent + 2 * pad - taps) // step + 1
        for extent, pad, taps, step in zip(shape[:2], padding, size, stride, strict=True)
    )
    y = Tensor("y", (rows, columns, outputs), target)
    rng = np.random.default_rng(outputs)  # what follows is the same for all shapes
    multipliers = rng.integers(1, 255, outputs, endpoint=True).tolist()
    how = requantization(multiplier or multipliers, shift, low=target.low, high=target.high)
    bias = rng.integers(-(1 << 15), 1 << 15, outputs).astype(np.int32)
    node = Conv2d("c", x, y, weights, bias, how, wrap=16, stride=stride, padding=padding)
    return graph_of(node, source=x)


def assert_exact(graph: Graph) -> None:
    """By this loop; and no input takes more than the bound."""
    known, shape = graph.input.range, graph.input.shape
    rng = np.random.default_rng(0)
    inputs = rng.integers(known.low, known.high, (4, *shape), endpoint=True)
    inputs[1], inputs[2] = known.low, known.high
    inputs[3] = rng.choice([known.low, known.high], shape)
    program = compile_graph(graph, find_target("cpm"), {"c": "code"})
    assert NAME in program.image.symbols
    assert differences(program, inputs) == []
    bound = program_bound(draft_graph(graph, find_target("cpm"), {"c": "code"}))
    assert bound is not None
    assert max(Runner(program).infer(x).cycles for x in inputs) <= bound


@pytest.mark.parametrize("outputs", [3, 4, 5, 6, 7, 8, 9])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_numbers_of_outputs_and_channels(outputs: int, channels: int) -> None:
    assert_exact(conv((4, 5, channels), padding=(1, 1), outputs=outputs))


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 1), (3, 3), (5, 6)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (1, 0), (0, 2)])
def test_windows(size: Pair, stride: Pair, padding: Pair) -> None:
    padding = min(padding[0], size[0] - 1), min(padding[1], size[1] - 1)
    assert_exact(conv(size=size, stride=stride, padding=padding))


@pytest.mark.parametrize("source", [UINT8, INT8])
@pytest.mark.parametrize("target", [UINT8, INT8, INT16])
@pytest.mark.parametrize("shift", [8, 16])
def test_types(source: DType, target: DType, shift: int) -> None:
    """Paddings that are not 0, outputs that saturate."""
    zero_point = 200 if source == UINT8 else -77
    graph = conv(padding=(2, 1), source=source, target=target, zero_point=zero_point, shift=shift)
    assert_exact(graph)


@pytest.mark.parametrize("channels", [17, 24, 37])
def test_pixels_of_many_channels(channels: int) -> None:
    assert_exact(conv((2, 3, channels), (2, 2)))


def test_sequences() -> None:
    rng = np.random.default_rng(0)
    x, y = Tensor("x", (9, 3), INT8), Tensor("y", (9, 4), INT8)
    weights = rng.integers(-128, 128, (4, 3, 3)).astype(np.int8)
    how = requantization(200, 16, low=-128, high=127)
    bias = np.array([9, -9, 99, -999], np.int32)
    node = Conv1d("c", x, y, weights, bias, how, wrap=16, padding=1)
    assert_exact(graph_of(node, source=x))


@pytest.mark.parametrize(
    ("graph", "target"),
    [
        (conv(), "cpm-ei"),  # SP is a stack's
        (conv(outputs=2), "cpm"),
        (conv((30, 30, 8)), "cpm"),  # more than is copied
        (conv((257, 1, 1), (1, 1)), "cpm"),
        (conv(bounds=Range(0, 127)), "cpm"),  # no index to be folded
        (conv((1, 1, 1), (1, 1), outputs=65, target=INT16), "cpm"),  # beyond IY's reach
    ],
)
def test_where_another_loop_is_taken(graph: Graph, target: str) -> None:
    program = compile_graph(graph, find_target(target), {"c": "code"})
    assert NAME not in program.image.symbols
    known = graph.input.range
    ends = np.stack([np.full(graph.input.shape, end) for end in (known.low, known.high)])
    assert differences(program, ends) == []


@pytest.mark.parametrize(("outputs", "changes"), [(4, 3), (3, 2), (8, 6)])
@pytest.mark.parametrize(("source", "copied"), [(INT8, 82), (UINT8, 75)])
def test_cycles_of_two_inputs(outputs: int, changes: int, source: DType, copied: int) -> None:
    def layer(channels: int) -> int:
        graph = conv((1, 1, channels), (1, 1), outputs=outputs, source=source)
        return cycles(graph.nodes[0], graph.input, "cpm", "code")

    products = 2 * 49 * outputs + 46 * (outputs + 3 >> 2) + 2 * 4 * changes
    assert layer(6) - layer(4) == 2 * copied + products


def test_cycles_of_positions_and_rows() -> None:
    """Of two channels and four outputs, whose requantization takes 20 each."""

    def layer(rows: int, columns: int, size: Pair = (1, 1), stride: Pair = (1, 1)) -> int:
        graph = conv((rows, columns, 2), size, stride, multiplier=1, shift=8)
        return cycles(graph.nodes[0], graph.input, "cpm", "code")

    pixel, products = 96 + 2 * 82, 46 + 8 * 49 + 6 * 4
    position = 236 + 21 + 282 + 4 * (20 + 19) + products
    assert layer(1, 4) - layer(1, 3) == pixel + position
    taller = layer(3, 2, (3, 1), (1, 2)) - layer(2, 2, (2, 1), (1, 2))
    assert taller == 47 + 2 * pixel + 21 + 39 + 50 + products
