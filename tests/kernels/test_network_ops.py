"""What convolutions, pools, Add, Relu, tables and Flatten compute, against plain loops."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from builders import requantization
from hypothesis import given, settings
from hypothesis import strategies as st
from network_strategies import networks
from numpy.typing import NDArray
from strategies import batch

from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.errors import AccumulatorOverflow
from kernels.ir import Graph, Node, Range, Tensor, verify
from kernels.ops.add import Add
from kernels.ops.avg_pool import AvgPool
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.flatten import Flatten
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.linear import Linear
from kernels.ops.max_pool import MaxPool
from kernels.ops.pooling import Pooling
from kernels.ops.relu import Relu
from kernels.ops.table_activation import TableActivation
from kernels.ops.window import Window
from kernels.passes.ranges import prove_ranges
from kernels.quant import Requantization, Rounding
from kernels.reference import run

Values = NDArray[np.int64]


def scalar_requantize(acc: int, how: Requantization, channel: int) -> int:
    multiplier = int(how.multiplier[channel if len(how.multiplier) > 1 else 0])
    scaled, rest = divmod(acc * multiplier, 2**how.shift)
    if how.rounding is Rounding.HALF_UP and 2 * rest >= 2**how.shift:
        scaled += 1
    return min(max(scaled + how.zero_point, how.low), how.high)


def pixels(window: Window, image: Values, row: int, column: int) -> list[tuple[int, int, Values]]:
    """A window's pixels within the image: row and column of the window, and the channels."""
    found = []
    for i, j in product(range(window.size[0]), range(window.size[1])):
        y = row * window.stride[0] + i - window.padding[0]
        x = column * window.stride[1] + j - window.padding[1]
        if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
            found.append((i, j, image[y, x]))
    return found


def every_position(node: Conv1d | Conv2d | Pooling, at: Callable[[int, int, int], int]) -> Values:
    """The result whose channel c at a position is at(row, column, c)."""
    rows, columns = node.window.positions(node.image)
    shape = (rows, columns, node.output.shape[-1])
    values = [at(*place) for place in np.ndindex(*shape)]
    return np.array(values, np.int64).reshape(node.output.shape)


def scalar_convolution(node: Conv1d | Conv2d, x: Values) -> Values:
    image = x.reshape(node.image)
    weights = node.weights.reshape(*node.weights.shape[:2], *node.window.size)
    inputs, outputs = weights.shape[1], len(weights) // node.groups

    def at(row: int, column: int, unit: int) -> int:
        first = unit // outputs * inputs
        acc = int(node.bias[unit])
        for i, j, channels in pixels(node.window, image, row, column):
            for channel in range(inputs):
                value = int(channels[first + channel]) - node.input.zero_point
                acc += int(weights[unit, channel, i, j]) * value * 2**node.input_shift
        if node.wrap is not None:
            acc = (acc + 2 ** (node.wrap - 1)) % 2**node.wrap - 2 ** (node.wrap - 1)
        return scalar_requantize(acc, node.requantization, unit)

    return every_position(node, at)


def scalar_pool(node: MaxPool | AvgPool, x: Values) -> Values:
    image = x.reshape(node.image)

    def at(row: int, column: int, channel: int) -> int:
        found = [int(p[channel]) for _, _, p in pixels(node.window, image, row, column)]
        if isinstance(node, MaxPool):
            return max(found)
        total = sum(value - node.input.zero_point for value in found)
        return scalar_requantize(total, node.requantization, 0)

    return every_position(node, at)


def scalar_whole_mean(node: GlobalAvgPool, x: Values) -> Values:
    channels = x.reshape(-1, x.shape[-1]).T.tolist()
    totals = [sum(v - node.input.zero_point for v in channel) for channel in channels]
    return np.array([scalar_requantize(total, node.requantization, 0) for total in totals])


def scalar_add(node: Add, *inputs: Values) -> Values:
    left, right = (
        [(v - tensor.zero_point) * factor for v in values.ravel().tolist()]
        for values, (tensor, factor) in zip(inputs, node.operands, strict=True)
    )
    sums = [one + other for one, other in zip(left, right, strict=True)]
    found = [scalar_requantize(acc, node.requantization, 0) for acc in sums]
    return np.array(found).reshape(node.output.shape)


def scalar_relu(node: Relu, x: Values) -> Values:
    low = node.input.dtype.low if node.low is None else node.low
    high = node.input.dtype.high if node.high is None else node.high
    return np.array([min(max(v, low), high) for v in x.ravel().tolist()]).reshape(x.shape)


def scalar_table(node: TableActivation, x: Values) -> Values:
    values = [int(node.table[v - node.input.dtype.low]) for v in x.ravel().tolist()]
    return np.array(values).reshape(x.shape)


SCALAR: dict[type, Callable[..., Values]] = {
    Conv1d: scalar_convolution,
    Conv2d: scalar_convolution,
    MaxPool: scalar_pool,
    AvgPool: scalar_pool,
    GlobalAvgPool: scalar_whole_mean,
    Add: scalar_add,
    Relu: scalar_relu,
    TableActivation: scalar_table,
    Flatten: lambda node, x: x.reshape(node.output.shape),
}


@settings(derandomize=True, deadline=None, max_examples=80)
@given(graph=networks(), seed=st.integers(0, 1000))
def test_networks_are_what_scalar_loops_compute(graph: Graph, seed: int) -> None:
    verify(graph)
    inputs, ranges = batch(graph, seed)[::2], prove_ranges(graph)
    values = run(graph, inputs)
    for node in (node for node in graph.nodes if type(node) in SCALAR):
        for number in range(len(inputs)):
            sources = [values[name][number] for name in node.inputs]
            got = values[node.output.name][number]
            assert got.tolist() == SCALAR[type(node)](node, *sources).tolist(), node.name
            low, high = ranges[node.output.name].elements(got.size)
            assert np.all(low <= got.ravel())
            assert np.all(got.ravel() <= high)


def image(
    shape: tuple[int, ...] = (4, 4, 2), dtype: DType = INT8, name: str = "x", zero_point: int = 0
) -> Tensor:
    return Tensor(name, shape, dtype, zero_point=zero_point)


def conv2d(source: Tensor | None = None, **changes: object) -> Conv2d:
    source = source or image()
    how = requantization(1, 4, low=-128, high=127)
    weights = np.ones((3, source.shape[-1], 3, 3), np.int8)
    node = Conv2d("c", source, image((2, 2, 3), name="y"), weights, np.zeros(3, np.int32), how)
    return replace(node, **changes)  # type: ignore[arg-type]


def pool(kind: type[MaxPool], **changes: object) -> MaxPool:
    return replace(kind("p", image(), image((2, 2, 2), name="y"), (2, 2)), **changes)  # type: ignore[arg-type]


def add(**changes: object) -> Add:
    how = requantization(1, 4, low=-128, high=127)
    left, right = image(name="x"), image(name="x")
    node = Add("a", left, right, image(name="y"), (3, 5), how)
    return replace(node, **changes)  # type: ignore[arg-type]


TABLE = np.arange(256) - 128
MEAN = AvgPool("p", image(), image((2, 2, 2), name="y"), (2, 2), requantization=requantization())
WHOLE = GlobalAvgPool(
    "p", image(), image((2,), name="y"), requantization=requantization(low=-128, high=127)
)
LOOK_UP = TableActivation("t", image(), image(name="y"), TABLE)

WRONG: list[tuple[Node, str]] = [
    (conv2d(weights=np.ones((3, 2, 3), np.int8)), r"expected \(out, in, rows, columns\)"),
    (conv2d(weights=np.ones((3, 1, 3, 3), np.int8)), r"expected \(3, 2, 3, 3\)"),
    (conv2d(groups=2), "2 groups divide 2 input and 3 output channels badly"),
    (conv2d(stride=(0, 1)), "stride below 1"),
    (conv2d(padding=(3, 0)), "padding .* is not less than the window"),
    (conv2d(image((2, 4, 2))), "does not fit an image of"),
    (conv2d(image((4, 8))), "expected 3 axes, channels last"),
    (conv2d(output=image((2, 3, 3), name="y")), r"expected \(2, 2, 3\)"),
    (conv2d(bias=np.zeros(2, np.int32)), r"bias has shape \(2,\)"),
    (conv2d(requantization=requantization([1, 2], low=-128, high=127)), "multiplier has shape"),
    (
        Conv1d(
            "c",
            image((5, 2)),
            image((3, 1), name="y"),
            np.ones((1, 2, 3, 3), np.int8),
            np.zeros(1, np.int32),
            requantization(),
        ),
        r"expected \(out, in, taps\)",
    ),
    (pool(MaxPool, size=(2,)), "must have 2 numbers each"),
    (pool(MaxPool, output=image((2, 3, 2), name="y")), r"expected \(2, 2, 2\)"),
    (pool(MaxPool, output=image((2, 2, 2), UINT8, "y")), "one dtype, scale and zero point"),
    (pool(MaxPool, input=image((4,))), "an image or a sequence"),
    (MEAN, r"saturation \[-32768, 32767\] is outside int8"),
    (replace(MEAN, requantization=requantization([1, 2])), "multiplier has shape"),
    (replace(WHOLE, output=image((3,), name="y")), r"expected \(2,\)"),
    (replace(WHOLE, input=image((4,))), "an image or a sequence"),
    (add(multipliers=(0, 1)), r"multipliers must be in \[1, 65535\]"),
    (add(multipliers=(1, 65536)), r"multipliers must be in \[1, 65535\]"),
    (add(requantization=requantization(3, low=-128, high=127)), "a plain shift"),
    (add(output=image((4, 4, 1), name="y")), "one shape"),
    (Relu("r", image(), image(name="y"), 5, 4), r"\[5, 4\] are empty or outside"),
    (Relu("r", image(), image(name="y"), -129), "outside int8"),
    (Relu("r", image(), image((4, 8), name="y"), 0), "output has shape"),
    (Relu("r", image(), image(name="y", zero_point=1), 0), "one dtype, scale and zero point"),
    (replace(LOOK_UP, input=image(dtype=INT16)), "takes 8 bits"),
    (replace(LOOK_UP, table=TABLE[1:]), r"expected \(256,\)"),
    (replace(LOOK_UP, table=TABLE + 1), "leaves the range of int8"),
    (Flatten("f", image(), image((31,), name="y")), "output has 31 elements, input 32"),
]


@pytest.mark.parametrize(("node", "problem"), WRONG)
def test_rules_of_shapes_and_parameters(node: Node, problem: str) -> None:
    sources = {t.name: t for t in vars(node).values() if isinstance(t, Tensor)}
    found = node.problems([sources[name] for name in node.inputs])
    assert any(re.search(problem, text) for text in found), found


def test_a_node_built_for_another_input_is_refused() -> None:
    other = image(dtype=UINT8)
    for node in (conv2d(), pool(MaxPool), WHOLE, LOOK_UP, Relu("r", image(), image(name="y"), 0)):
        assert any("was built for input" in problem for problem in node.problems([other]))
    assert sum("was built for" in problem for problem in add().problems([other, image()])) == 1


def test_padding_holds_the_zero_point_and_widens_what_is_proven() -> None:
    source = Tensor("x", (1, 1, 1), UINT8, zero_point=7, bounds=Range(10, 20))
    how = requantization()
    node = Conv2d(
        "c",
        source,
        Tensor("y", (1, 1, 1), INT16),
        np.ones((1, 1, 3, 3), np.int8),
        np.zeros(1, np.int32),
        how,
        padding=(1, 1),
    )
    assert node.reference(np.full((1, 1, 1, 1), 20)).ravel().tolist() == [13]
    assert node.factors(source.range) == Range(7, 20)
    assert node.output_range(source.range) == Range(0, 9 * 13)
    assert replace(node, padding=(0, 0)).factors(source.range) == source.range


def test_max_pool_never_takes_padding_and_mean_counts_it_as_zero() -> None:
    source = image((2, 2, 1), zero_point=5)
    x = np.full((1, 2, 2, 1), -100)
    largest = MaxPool("m", source, replace(source, name="y"), (2, 2), (2, 2), (1, 1))
    assert largest.reference(x).ravel().tolist() == [-100] * 4
    how = requantization(1, 0, low=-128, high=127)
    mean = AvgPool(
        "m", source, image((2, 2, 1), name="y"), (2, 2), (2, 2), (1, 1), requantization=how
    )
    assert mean.reference(x + 50).ravel().tolist() == [-55] * 4
    assert mean.output_range(Range(10, 20)) == Range(0, 4 * 15)


def test_accumulators_that_no_width_holds_are_refused() -> None:
    node = add(left=image(dtype=INT16), right=image(dtype=INT16), multipliers=(65535, 2))
    wide = Range(-32768, 32767)
    with pytest.raises(AccumulatorOverflow, match="a: unit 0 can reach"):
        node.output_range(wide, wide)
    assert node.output_range(Range(0, 100), Range(0, 100)) == Range(0, 127)


def test_counts() -> None:
    weights = np.ones((3, 2, 3, 3), np.int8)
    weights[0, 0] = 0
    node = conv2d(weights=weights)
    assert (node.macs, node.nnz) == (54 * 4, 45 * 4)
    assert (LOOK_UP.macs, add().macs, MEAN.nnz, WHOLE.macs) == (0, 0, 0, 0)


def test_flatten_keeps_the_devices_order() -> None:
    x = np.arange(8).reshape(1, 2, 2, 2)
    node = Flatten("f", image((2, 2, 2)), image((8,), name="y"))
    assert node.reference(x).tolist() == [list(range(8))]


def test_a_pointwise_convolution_is_a_linear_layer_at_each_pixel() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(-128, 128, (3, 2)).astype(np.int8)
    how = requantization([3, 5, 9], 6, low=-128, high=127)
    bias = np.array([4, -5, 600], np.int32)
    x = rng.integers(-128, 128, (5, 4, 4, 2))
    y = Tensor("y", (4, 4, 3), INT8)
    conv = Conv2d("c", image(), y, weights[:, :, np.newaxis, np.newaxis], bias, how)
    linear = Linear("l", image((2,)), image((3,), name="z"), weights, bias, how)
    wanted = linear.reference(x.reshape(-1, 2)).reshape(5, 4, 4, 3)
    assert conv.reference(x).tolist() == wanted.tolist()
