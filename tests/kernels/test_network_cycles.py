"""Cycles of the kernels of images: what their docstrings say, by differences of programs.

A difference of two programs that differ in one element, pixel, position or product leaves out all
that is done once a layer. Stack and arena are held against what a run touches.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from builders import DENSE8, graph_of, requantization

from harness.profile import profile
from harness.run import Runner
from kernels.compile import compile_graph
from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.image import Program
from kernels.ir import Graph, Node, Range, Tensor
from kernels.ops.add import Add
from kernels.ops.avg_pool import AvgPool
from kernels.ops.conv2d import Conv2d
from kernels.ops.flatten import Flatten
from kernels.ops.max_pool import MaxPool
from kernels.ops.relu import Relu
from kernels.ops.table_activation import TableActivation
from kernels.quant import Requantization
from kernels.target import find_target

CODE = "code"
RETURN_ADDRESS = 2


def program(node: Node, source: Tensor, target: str, encoding: str | None = None) -> Program:
    graph = graph_of(node, source=source)
    return compile_graph(graph, find_target(target), {node.name: encoding} if encoding else {})


def cycles(
    node: Node, source: Tensor, target: str, encoding: str | None = None, value: int = 3
) -> int:
    run = Runner(program(node, source, target, encoding)).infer(np.full(source.shape, value))
    return run.layer_cycles[node.name]


def full(dtype: DType, multiplier: int = 1, shift: int = 0) -> Requantization:
    return requantization(multiplier, shift, low=dtype.low, high=dtype.high)


@pytest.mark.parametrize(
    ("target", "dtype", "plain", "kept", "cut"),
    [
        ("uno", UINT8, 7, 3, 3),
        ("uno", INT8, 7, 3, 3),
        ("uno", INT16, 11, 5, 6),
        ("cpm", UINT8, 62, 19, 21),
        ("cpm", INT8, 76, 19, 21),
        ("cpm", INT16, 114, 34, 39),
    ],
)
def test_relu(target: str, dtype: DType, plain: int, kept: int, cut: int) -> None:
    def element(low: int | None, high: int | None, value: int) -> int:
        def layer(count: int) -> int:
            x = Tensor("x", (count,), dtype)
            node = Relu("r", x, Tensor("y", (count,), dtype), low, high)
            return cycles(node, x, target, value=value)

        return layer(11) - layer(10)

    assert element(None, None, 20) == plain
    assert element(5, None, 20) == element(None, 50, 20) == plain + kept
    assert element(5, None, 0) == element(None, 50, 99) == plain + cut
    assert element(5, 50, 20) == plain + 2 * kept


@pytest.mark.parametrize(
    ("target", "output", "wanted"),
    [("uno", INT8, 14), ("uno", INT16, 21), ("cpm", INT8, 69), ("cpm", INT16, 97)],
)
def test_tables(target: str, output: DType, wanted: int) -> None:
    def layer(count: int) -> int:
        x = Tensor("x", (count,), INT8)
        y = Tensor("y", (count,), output)
        return cycles(TableActivation("t", x, y, np.zeros(256, np.int64)), x, target)

    assert layer(21) - layer(20) == wanted


REQUANTIZED = 49 + 20  # T-states: a bias of 16 bits, a byte dropped


@pytest.mark.parametrize(("target", "wanted"), [("uno", 18), ("cpm", 236 + REQUANTIZED)])
def test_add(target: str, wanted: int) -> None:
    def layer(count: int) -> int:
        x = Tensor("x", (count,), INT8, bounds=Range(0, 50))
        y = Tensor("y", (count,), INT8)
        return cycles(Add("a", x, x, y, (100, 200), full(INT8, shift=8)), x, target)

    assert layer(11) - layer(10) == wanted


def pool(
    kind: type[MaxPool | AvgPool], dtype: DType, height: int, channels: int, size: int
) -> tuple[Node, Tensor]:
    x = Tensor("x", (height, 1, channels), dtype)
    y = Tensor("y", (height - size + 1, 1, channels), dtype)
    if kind is MaxPool:
        return MaxPool("p", x, y, (size, 1), (1, 1)), x
    return AvgPool("p", x, y, (size, 1), (1, 1), requantization=full(dtype)), x


@pytest.mark.parametrize(
    ("target", "kind", "dtype", "pixel"),
    [
        ("uno", MaxPool, UINT8, 5),
        ("uno", MaxPool, INT16, 8),
        ("uno", AvgPool, UINT8, 4),
        ("uno", AvgPool, INT8, 5),
        ("cpm", MaxPool, UINT8, 43),
        ("cpm", MaxPool, INT8, 50),
        ("cpm", AvgPool, UINT8, 51),
        ("cpm", AvgPool, INT8, 58),
    ],
)
def test_pixels_of_pools(
    target: str, kind: type[MaxPool | AvgPool], dtype: DType, pixel: int
) -> None:
    def position(size: int) -> int:
        more, less = (cycles(*pool(kind, dtype, h, 1, size), target) for h in (9, 8))
        return more - less

    assert position(4) - position(3) == pixel


@pytest.mark.parametrize(
    ("target", "column", "row", "alone", "channel"),
    [("uno", 36 + 1, 33, 52 + 1, 9 + 5), ("cpm", 173 + 45, 161, 250 + 45, 96 + 50)],
)
def test_walks(target: str, column: int, row: int, alone: int, channel: int) -> None:
    def layer(height: int, width: int) -> int:
        x = Tensor("x", (height, width, 1), INT8)
        y = Tensor("y", (height, width, 1), INT8)
        return cycles(MaxPool("p", x, y, (1, 1), (1, 1)), x, target)

    assert layer(1, 6) - layer(1, 5) == column + channel
    assert layer(4, 5) - layer(3, 5) == row + 5 * (column + channel)
    assert layer(6, 1) - layer(5, 1) == alone + channel


def pointwise(channels: int, weights: Sequence[int], bounds: Range | None) -> tuple[Conv2d, Tensor]:
    """A convolution of one pixel; every input has these weights, one for each output."""
    outputs = len(weights)
    x = Tensor("x", (1, 1, channels), INT8, bounds=bounds)
    y = Tensor("y", (1, 1, outputs), INT8)
    matrix = np.repeat(np.array(weights, np.int8)[:, np.newaxis], channels, axis=1)
    bias, how = np.zeros(outputs, np.int32), full(INT8, 3, 8)
    return Conv2d("c", x, y, matrix[:, :, np.newaxis, np.newaxis], bias, how, wrap=16), x


@pytest.mark.parametrize(
    ("target", "weights", "bounds", "wanted"),
    [
        ("uno", [7, 9], None, 2 + 5 + 5),
        ("uno", [7, -7], None, 2 + 3 + 2 + 2),
        ("uno", [0, 9], None, 2 + 5),
        ("uno", [1, 9], Range(0, 9), 2 + 2 + 5),
        ("uno", [0, 0], None, 0),
        ("cpm", [7, 9], Range(0, 100), 51 + 51 + 6 + 50),
        ("cpm", [7, -9], Range(0, 100), 51 + 51 + 6 + 50 + 4),
    ],
)
def test_inputs_of_weights_as_code(
    target: str, weights: list[int], bounds: Range | None, wanted: int
) -> None:
    def layer(channels: int) -> int:
        return cycles(*pointwise(channels, weights, bounds), target, CODE)

    assert layer(5) - layer(4) == wanted


@pytest.mark.parametrize(("target", "wanted"), [("uno", 11), ("cpm", 156 + 7)])
def test_products_of_depthwise_layers(target: str, wanted: int) -> None:
    def layer(height: int, size: int) -> int:
        x = Tensor("x", (height, 1, 2), INT8)
        y = Tensor("y", (height - size + 1, 1, 2), INT8)
        weights, bias = np.full((2, 1, size, 1), 5, np.int8), np.zeros(2, np.int32)
        node = Conv2d("c", x, y, weights, bias, full(INT8, 3, 8), groups=2, wrap=16)
        return cycles(node, x, target, DENSE8)

    def position(size: int) -> int:
        return layer(8, size) - layer(7, size)

    assert position(4) - position(3) == 2 * wanted


@pytest.mark.parametrize(
    ("target", "what", "wanted"),
    [
        ("uno", MaxPool, 0),
        ("uno", AvgPool, 0),
        ("uno", CODE, 0),
        ("cpm", MaxPool, 2),
        ("cpm", AvgPool, 2),
        ("cpm", CODE, 2),
    ],
)
def test_stack(target: str, what: type[MaxPool | AvgPool] | str, wanted: int) -> None:
    if isinstance(what, str):
        made = program(*pointwise(3, [5, -9], Range(0, 99)), target, what)
    else:
        made = program(*pool(what, INT8, 5, 2, 2), target)
    peak = Runner(made).infer(np.full(made.graph.input.shape, 3)).stack_peak
    assert peak == RETURN_ADDRESS + wanted


def test_every_byte_of_the_arena_is_touched() -> None:
    """A band for the padding, an op in place, a view: the plan is what a run measures."""
    x = Tensor("x", (4, 4, 2), INT8)
    y, z = (Tensor(name, (4, 4, 2), INT8) for name in "yz")
    weights, bias = np.full((2, 2, 3, 3), 3, np.int8), np.zeros(2, np.int32)
    conv = Conv2d("c", x, y, weights, bias, full(INT8, 9, 12), padding=(1, 1))
    flat = Flatten("f", z, Tensor("flat", (32,), INT8))
    graph = Graph("net", x, (conv, Relu("r", y, z, 0), flat), ("flat",))
    made = compile_graph(graph, find_target("uno"), {"c": CODE})
    band, walk, tensors = 3 * 6 * 2, 9, 32 + 32
    assert made.arena.size == band + walk + tensors
    assert profile(Runner(made), np.full((4, 4, 2), 5)).arena_touched == made.arena.size
