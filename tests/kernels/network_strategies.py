"""Random networks of every op: images and sequences, chains with residual branches, extreme values.

Shapes are small, so that a network fits the smallest device and windows meet every border. As in
`strategies`, hypothesis draws the structure and weights come from a seeded generator.
"""

from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from builders import argmax, graph_of, requantization
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.ir import Graph, Node, Range, Tensor
from kernels.ops.accumulating import Accumulating
from kernels.ops.add import Add
from kernels.ops.avg_pool import AvgPool
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.flatten import Flatten
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.linear import Linear
from kernels.ops.max_pool import MaxPool
from kernels.ops.relu import Relu
from kernels.ops.table_activation import TableActivation
from kernels.ops.window import Window, as_image, as_pair
from kernels.quant import Requantization, Rounding

AccumulatingT = TypeVar("AccumulatingT", bound=Accumulating)

KINDS = ("conv", "conv", "conv", "max", "mean", "relu", "table", "add", "add")
FILLS = ("random", "random", "random", "sparse", "lowest", "highest", "zero")
UNSETTLED = requantization(1, 0, low=0, high=0)


@dataclass
class Sketch:
    """A network while it is drawn. ranges: proven bounds by tensor's name."""

    draw: st.DrawFn
    widest_weight: int
    widest_accumulator: int
    product_bits: int
    rng: np.random.Generator = field(init=False)
    nodes: list[Node] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    ranges: dict[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.draw(st.integers(0, 1 << 32)))

    def pick(self, *values: int) -> int:
        """One of them."""
        return self.draw(st.sampled_from(values))

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases; False when shrunk."""
        return self.draw(st.integers(1, 100)) > 100 - percent

    def tensor(self, shape: tuple[int, ...], dtype: DType | None = None) -> Tensor:
        """A new tensor for the next node to write."""
        dtype = dtype or self.draw(st.sampled_from([UINT8, INT8, INT8, INT16]))
        zero_point = self.draw(st.integers(dtype.low, dtype.high)) if self.chance(50) else 0
        return Tensor(f"t{len(self.nodes)}", shape, dtype, zero_point=zero_point)

    def add(self, node: Node) -> None:
        """Append a node; later ones may read its tensor."""
        self.ranges[node.output.name] = node.output_range(*(self.ranges[n] for n in node.inputs))
        self.nodes.append(node)
        self.tensors.append(node.output)

    def name(self, kind: str) -> str:
        """The next node's."""
        return f"{kind}{len(self.nodes)}"


@st.composite
def networks(
    draw: st.DrawFn, *, widest_weight: int = 127, accumulator: int = 32, product_bits: int = 48
) -> Graph:
    """One to five layers, maybe flattened into a Linear one, maybe an argmax.

    accumulator: bits that kernels have. product_bits: of accumulator times multiplier.
    """
    s = Sketch(draw, widest_weight, accumulator, product_bits)
    sequence = s.chance(30)
    extent = lambda: s.pick(1, 2, 3, 4, 5, 6)  # noqa: E731
    channels = s.pick(1, 2, 3, 4)
    shape = (s.pick(1, 2, 3, 7, 12), channels) if sequence else (extent(), extent(), channels)
    dtype = draw(st.sampled_from([UINT8, INT8, INT16]))
    bounds = Range(max(dtype.low, 0), min(dtype.high, 100)) if s.chance(40) else None
    zero_point = draw(st.integers(dtype.low, dtype.high)) if s.chance(50) else 0
    x = Tensor("x", shape, dtype, zero_point=zero_point, bounds=bounds)
    s.tensors.append(x)
    s.ranges["x"] = x.range
    for _ in range(draw(st.integers(1, 5))):
        _LAYERS[draw(st.sampled_from(KINDS))](s)
    _head(s)
    outputs = {s.nodes[-1].output.name}
    if s.chance(30):
        outputs.add(draw(st.sampled_from(s.nodes)).output.name)
    return graph_of(*s.nodes, source=x, outputs=sorted(outputs))


def _window(s: Sketch, image: tuple[int, int, int], axes: int) -> tuple[tuple[int, ...], ...]:
    """Size, stride and padding that fit, one number for each axis."""
    sizes, strides, paddings = [], [], []
    for extent in image[:axes]:
        size = s.pick(*(n for n in (1, 2, 3, 3, 5) if n <= extent + 2))
        least = max(0, -(-(size - extent) // 2))
        padding = least if least or not s.chance(50) else size // 2
        sizes.append(size)
        strides.append(s.pick(1, 1, 2, 3))
        paddings.append(padding if padding < size else 0)
    return tuple(sizes), tuple(strides), tuple(paddings)


def _fits(image: tuple[int, int, int], parts: tuple[tuple[int, ...], ...]) -> Window | None:
    size, stride, padding = parts
    window = Window(as_pair(size), as_pair(stride), as_pair(padding, 0))
    return None if window.problems(image) else window


def _conv(s: Sketch) -> None:
    source = s.tensors[-1]
    image, axes = as_image(source.shape), len(source.shape) - 1
    parts = _window(s, image, axes)
    window = _fits(image, parts)
    if window is None:
        return
    channels = image[2]
    groups = s.pick(1, 1, channels, *(n for n in (2,) if channels % n == 0))
    out = groups * s.pick(1, 1, 2, 3)
    size, stride, padding = parts
    weights = _weights(s, (out, channels // groups, *size))
    positions = window.positions(image)[:axes]
    output = s.tensor((*positions, out))
    bias = _bias(s, out)
    name, shift = s.name("conv"), s.pick(0, 0, 0, 1, 3)
    layer: Conv2d | Conv1d
    if axes == 2:
        layer = Conv2d(
            name,
            source,
            output,
            weights,
            bias,
            UNSETTLED,
            shift,
            groups=groups,
            stride=(stride[0], stride[1]),
            padding=(padding[0], padding[1]),
        )
    else:
        layer = Conv1d(
            name,
            source,
            output,
            weights,
            bias,
            UNSETTLED,
            shift,
            groups=groups,
            stride=stride[0],
            padding=padding[0],
        )
    s.add(_settled(s, _bounded(s, layer), out))


def _max(s: Sketch) -> None:
    source = s.tensors[-1]
    image, axes = as_image(source.shape), len(source.shape) - 1
    parts = _window(s, image, axes)
    window = _fits(image, parts)
    if window is None:
        return
    shape = (*window.positions(image)[:axes], image[2])
    output = replace(source, name=f"t{len(s.nodes)}", shape=shape, bounds=None)
    s.add(MaxPool(s.name("max"), source, output, *parts))


def _mean(s: Sketch) -> None:
    source = s.tensors[-1]
    image, axes = as_image(source.shape), len(source.shape) - 1
    parts = _window(s, image, axes)
    window = _fits(image, parts)
    if window is None:
        return
    output = s.tensor((*window.positions(image)[:axes], image[2]))
    pool = AvgPool(s.name("mean"), source, output, *parts, requantization=UNSETTLED)
    s.add(_settled(s, pool, 1))


def _relu(s: Sketch) -> None:
    source = s.tensors[-1]
    output = replace(source, name=f"t{len(s.nodes)}", bounds=None)
    low = s.draw(st.sampled_from([None, source.zero_point, source.dtype.low + 3]))
    least = source.dtype.low if low is None else low
    high = s.draw(st.integers(least, source.dtype.high)) if s.chance(50) else None
    s.add(Relu(s.name("relu"), source, output, low, high))


def _table(s: Sketch) -> None:
    source = s.tensors[-1]
    if source.dtype.bits != 8:
        return
    output = s.tensor(source.shape)
    table = s.rng.integers(output.dtype.low, output.dtype.high, 256, endpoint=True)
    s.add(TableActivation(s.name("table"), source, output, table))


def _add(s: Sketch) -> None:
    left = s.tensors[-1]
    alike = [tensor for tensor in s.tensors if tensor.shape == left.shape]
    right = s.draw(st.sampled_from(alike))
    if s.chance(50):
        left, right = right, left
    multipliers = (s.pick(1, 77, 255, 256, 3000, 65535), s.pick(1, 100, 255, 4000))
    layer = Add(s.name("add"), left, right, s.tensor(left.shape), multipliers, UNSETTLED)
    low, high = layer.accumulator_bounds(s.ranges[left.name], s.ranges[right.name])
    if max(-low.min(), high.max() + 1) <= 1 << 31:
        s.add(_settled(s, layer, 1))


_LAYERS = {"conv": _conv, "max": _max, "mean": _mean, "relu": _relu, "table": _table, "add": _add}


def _head(s: Sketch) -> None:
    """Flattened or averaged, then a Linear layer and an argmax; each of them maybe."""
    source = s.tensors[-1]
    if s.chance(30):
        output = s.tensor(source.shape[-1:])
        pool = GlobalAvgPool(s.name("mean"), source, output, requantization=UNSETTLED)
        s.add(_settled(s, pool, 1))
    elif s.chance(50) or not s.nodes:
        shape = (source.count,)
        output = replace(source, name=f"t{len(s.nodes)}", shape=shape, bounds=None)
        s.add(Flatten(s.name("flat"), source, output))
    source = s.tensors[-1]
    if len(source.shape) == 1 and s.chance(60):
        units = s.pick(1, 2, 5)
        layer = Linear(
            s.name("fc"),
            source,
            s.tensor((units,)),
            _weights(s, (units, source.count)),
            _bias(s, units),
            UNSETTLED,
        )
        s.add(_settled(s, _bounded(s, layer), units))
    if s.tensors[-1].count <= 256 and s.chance(50):
        s.add(argmax(s.tensors[-1]))


def _bias(s: Sketch, units: int) -> NDArray[np.int32]:
    reach = s.draw(st.sampled_from([0, 8, 14, 22]))
    return (s.rng.integers(-1, 1, units, endpoint=True) << reach).astype(np.int32)


def _weights(s: Sketch, shape: tuple[int, ...]) -> NDArray[np.int8]:
    low, high = -s.widest_weight - (s.widest_weight > 100), s.widest_weight
    fill = s.draw(st.sampled_from(FILLS))
    if fill in ("lowest", "highest", "zero"):
        return np.full(shape, {"lowest": low, "highest": high, "zero": 0}[fill], np.int8)
    weights = s.rng.integers(low, high, shape, np.int8, endpoint=True)
    if fill == "sparse":
        weights[s.rng.random(shape) < 0.7] = 0
    return weights


ProductT = TypeVar("ProductT", Linear, Conv1d, Conv2d, Linear | Conv1d | Conv2d)


def _bounded(s: Sketch, layer: ProductT) -> ProductT:
    """The layer, wrapping where its accumulator would be too wide, and sometimes anyway."""
    widest = s.widest_accumulator
    low, high = layer.accumulator_bounds(s.ranges[layer.input.name])
    if max(-low.min(), high.max() + 1) > 1 << (widest - 1):
        return replace(layer, wrap=widest)
    return replace(layer, wrap=s.pick(16, 24)) if s.chance(15) else layer


def _settled(s: Sketch, layer: AccumulatingT, channels: int) -> AccumulatingT:
    """The layer with a requantization that leaves something of its accumulators."""
    assert isinstance(layer, Linear | Conv1d | Conv2d | AvgPool | GlobalAvgPool | Add)
    low, high = layer.wrapped_bounds(*(s.ranges[name] for name in layer.inputs))
    reach, dtype = int(max(-low.min(), high.max(), 1)), layer.output.dtype
    largest = s.pick(1, 255, 65535)
    largest = max(1, min(largest, (1 << (s.product_bits - 2)) // (reach + 1)))
    if isinstance(layer, Add):
        largest = 1
    count = channels if s.chance(50) else 1
    multiplier = s.rng.integers(1, largest, count, endpoint=True)
    fitting = (reach * int(multiplier.max())).bit_length() - dtype.bits + s.pick(-1, 0, 1, 2, 4)
    clipped = s.draw(st.integers(layer.output.zero_point, dtype.high))
    how = Requantization(
        multiplier,
        min(max(fitting, 0), 31),
        s.draw(st.sampled_from(Rounding)),
        layer.output.zero_point,
        layer.output.zero_point if s.chance(40) else dtype.low,
        clipped if s.chance(20) else dtype.high,
    )
    return replace(layer, requantization=how)  # type: ignore[return-value]
