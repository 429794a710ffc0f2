"""Windows over large rows and many rows: loops whose counters and jumps are at their limits."""

from dataclasses import replace

import numpy as np
import pytest
from builders import DENSE8, differences, graph_of, requantization

from kernels.compile import compile_graph
from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.errors import Unsupported
from kernels.ir import Node, Range, Tensor
from kernels.ops.avg_pool import AvgPool
from kernels.ops.conv2d import Conv2d
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.max_pool import MaxPool
from kernels.ops.relu import Relu
from kernels.target import find_target


def check(node: Node, x: Tensor, target: str) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.integers(x.range.low, x.range.high + 1, (2, *x.shape))
    assert differences(compile_graph(graph_of(node, source=x), find_target(target)), inputs) == []


@pytest.mark.parametrize("target", ["mega", "cpm"])
@pytest.mark.parametrize("shape", [(1, 256, 5), (3, 1, 256), (300, 1, 2), (1, 130, 8)])
def test_large_images_with_padding(target: str, shape: tuple[int, int, int]) -> None:
    x = Tensor("x", shape, INT8, zero_point=-3)
    size = (3, 1) if shape[1] == 1 else (2, 3)
    padding = (1, size[1] // 2)
    height = shape[0] + 2 * padding[0] - size[0] + 1
    y = Tensor("y", (height, *shape[1:]), INT8, zero_point=-3)
    check(MaxPool("p", x, y, size, (1, 1), padding), x, target)


@pytest.mark.parametrize("target", ["mega", "cpm"])
@pytest.mark.parametrize("dtype", [INT8, INT16])
def test_windows_as_large_as_the_image(target: str, dtype: DType) -> None:
    x = Tensor("x", (20, 30, 2), dtype)
    mean = requantization(27, 14, low=dtype.low, high=dtype.high)
    whole = GlobalAvgPool("p", x, Tensor("y", (2,), dtype), requantization=mean)
    check(whole, x, target)
    y = Tensor("y", (4, 2, 2), dtype)
    check(AvgPool("p", x, y, (17, 29), (1, 1), requantization=mean), x, target)
    check(MaxPool("p", x, y, (17, 29), (1, 1)), x, target)


@pytest.mark.parametrize(("target", "isa"), [("mega", "avr"), ("cpm", "z80")])
def test_counters_of_one_byte(target: str, isa: str) -> None:
    x = Tensor("x", (1, 257, 1), INT8)
    wide = MaxPool("p", x, Tensor("y", (1, 257, 1), INT8), (1, 1), (1, 1))
    message = f"p: 257 columns; {isa} kernels take at most 256"
    with pytest.raises(Unsupported, match=message):
        compile_graph(graph_of(wide, source=x), find_target(target))
    x = Tensor("x", (1, 1, 257), INT8)
    deep = MaxPool("p", x, Tensor("y", (1, 1, 257), INT8), (1, 1), (1, 1))
    with pytest.raises(Unsupported, match=f"p: 257 channels; {isa} kernels take at most 256"):
        compile_graph(graph_of(deep, source=x), find_target(target))


@pytest.mark.parametrize(("target", "isa"), [("mega", "avr"), ("cpm", "z80")])
@pytest.mark.parametrize("across", [True, False])
def test_windows_that_counters_of_a_byte_just_hold(target: str, isa: str, across: bool) -> None:
    """256 pixels are the most, in rows or in columns; one more is refused, not counted wrongly."""
    how, what = requantization(1, 8), "columns" if across else "rows"
    for pixels in (256, 257):
        size = (1, pixels) if across else (pixels, 1)
        x = Tensor("x", (*size, 1), UINT8)
        y = Tensor("y", (1, 1, 1), UINT8)
        nodes: tuple[Node, ...] = (
            MaxPool("p", x, y, size),
            AvgPool("p", x, y, size, requantization=replace(how, low=0, high=255)),
            GlobalAvgPool(
                "p",
                x,
                replace(y, shape=(1,)),
                requantization=replace(how, low=0, high=255),
            ),
        )
        for node in nodes:
            if pixels == 256:
                check(node, x, target)
                continue
            message = f"p: 257 {what} of a window; {isa} kernels take at most 256"
            with pytest.raises(Unsupported, match=message):
                compile_graph(graph_of(node, source=x), find_target(target))


@pytest.mark.parametrize("target", ["mega", "cpm"])
@pytest.mark.parametrize("width", [256, 257])
def test_weights_as_code_over_wide_rows(target: str, width: int) -> None:
    """On Z80 a byte counts the columns of pixels that a row of windows covers."""
    x = Tensor("x", (2, width, 1), UINT8, bounds=Range(0, 9))
    y = Tensor("y", (1, width - 99, 2), INT16)
    weights = np.random.default_rng(1).integers(-1, 2, (2, 1, 2, 100)).astype(np.int8)
    node = Conv2d("c", x, y, weights, np.zeros(2, np.int32), requantization())
    graph = graph_of(node, source=x)
    inputs = np.random.default_rng(2).integers(0, 10, (2, *x.shape))
    if target == "cpm" and width > 256:
        with pytest.raises(Unsupported, match="c: weights as code on z80: windows over 257 col"):
            compile_graph(graph, find_target(target), {"c": "code"})
        return
    assert differences(compile_graph(graph, find_target(target), {"c": "code"}), inputs) == []


def conv(source: Tensor, outputs: int, groups: int = 1) -> Conv2d:
    weights = np.full((outputs, source.shape[-1] // groups, 3, 3), 99, np.int8)
    y = Tensor("y", (*source.shape[:2], outputs), INT8)
    how = requantization(1, 12, low=INT8.low, high=INT8.high)
    bias = np.zeros(outputs, np.int32)
    return Conv2d("c", source, y, weights, bias, how, groups=groups, padding=(1, 1))


@pytest.mark.parametrize(
    ("dtype", "groups", "reason"),
    [
        (INT16, 1, "inputs of 16 bits, 8 at most"),
        (INT8, 2, "groups"),
        (INT8, 1, "sums of 32 bits, 24 at most"),
    ],
)
def test_z80_code_is_refused_in_one_line(dtype: DType, groups: int, reason: str) -> None:
    x = Tensor("x", (3, 3, 2), dtype)
    node = conv(x, 4, groups)
    if "sums" in reason:
        node = replace(node, wrap=32)
    graph = graph_of(node, source=x)
    message = f"^c: weights as code on z80: {reason}; use dense8$"
    with pytest.raises(Unsupported, match=message):
        compile_graph(graph, find_target("cpm"), {"c": "code"})
    compile_graph(graph, find_target("cpm"), {"c": DENSE8})


def test_a_loop_beyond_rjmp_is_refused_in_one_line() -> None:
    x = Tensor("x", (3, 3, 8), INT8)
    graph = graph_of(conv(x, 8), source=x)
    message = r"^c: a loop of .* beyond the reach of RJMP on attiny85; use an encoding with less"
    with pytest.raises(Unsupported, match=message):
        compile_graph(graph, find_target("attiny85"), {"c": "code"})


@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_many_elements(target: str) -> None:
    x = Tensor("x", (700,), INT8)
    check(Relu("r", x, Tensor("y", (700,), INT8), -5, 77), x, target)
