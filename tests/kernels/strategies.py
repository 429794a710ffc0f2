"""Random graphs for the emitters: shapes at the edges of blocks and loops, extreme values.

Hypothesis draws the structure, which it can shrink; weights come from a seeded generator. What an
emitter would refuse is mostly mended while it is drawn, so that few examples are lost. The shift is
chosen around the size of the accumulators, so that outputs are neither all equal nor all saturated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from builders import (
    STRAIGHT_LINE,
    argmax,
    graph_of,
    linear,
    reads,
    requantization,
    weights_of,
    widest_accumulator,
    writes,
)
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.binary import sign_test
from kernels.dtypes import BIT, DTYPES, DType
from kernels.ir import Graph, Node, Range, Tensor
from kernels.ops.linear import Linear
from kernels.quant import MAX_SHIFT, Rounding

SIZES = (1, 2, 3, 7, 8, 9, 10, 11, 15, 16, 17, 64, 127, 128, 253, 254, 255, 256, 257, 300)
BYTES: Mapping[str, int] = {
    "uno": 20_000,
    "mega": 40_000,
    "cpm": 30_000,
    "cpm-ei": 30_000,
    "msx-rom": 60_000,
    "attiny85": 2_500,
}  # for weights
BYTES_PER_WEIGHT = {STRAIGHT_LINE: 12}
FILLS = ("random", "random", "random", "sparse", "lowest", "highest", "zero")


@dataclass
class Drawing:
    """What the layers of one graph share while they are drawn."""

    draw: st.DrawFn
    target: str
    encoding: str
    weights_left: int
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.draw(st.integers(0, 1 << 32)))

    def input_dtype(self) -> DType:
        """One that the encoding reads."""
        return self.draw(st.sampled_from(reads(self.encoding)))

    def output_dtype(self, last: bool) -> DType:
        """One that the kernel writes and, but for the last layer, reads."""
        written = writes(self.target, self.encoding)
        read = set(DTYPES.values()) if last else set(reads(self.encoding))
        return self.draw(st.sampled_from([dtype for dtype in written if dtype in read]))

    def size(self, largest: int) -> int:
        """One of the sizes, at most `largest`."""
        return self.draw(st.sampled_from([size for size in SIZES if size <= max(largest, 1)]))

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases; False when shrunk."""
        return self.draw(st.integers(1, 100)) > 100 - percent

    @property
    def widest_accumulator(self) -> int:
        """Bits that the emitter has."""
        return widest_accumulator(self.encoding)


@st.composite
def graphs(draw: st.DrawFn, target: str, encoding: str) -> Graph:
    """One to three Linear layers and, mostly, an argmax."""
    own = 1 + (widest_accumulator(encoding) < 32)
    d = Drawing(draw, target, encoding, BYTES[target] // BYTES_PER_WEIGHT.get(encoding, own))
    x = _input(d)
    nodes: list[Node] = []
    current, known = x, x.range
    chained = set(reads(encoding)) & set(writes(target, encoding))
    count = draw(st.integers(1, 3)) if chained else 1
    for number in range(count):
        layer = _linear(d, f"fc{number}", current, known, last=number == count - 1)
        nodes.append(layer)
        current, known = layer.output, layer.output_range(known)
    outputs = [node.output.name for node in (nodes if d.chance(40) else nodes[-1:])]
    if current.count <= 256 and not current.dtype.packed and d.chance(80):
        nodes.append(argmax(current))
        outputs.append(nodes[-1].output.name)
    return graph_of(*nodes, source=x, outputs=outputs)


def batch(graph: Graph, seed: int) -> NDArray[np.int64]:
    """Inputs: random, both ends of the range, mostly inactive, a mix of the ends, a single one."""
    rng = np.random.default_rng(seed)
    shape, ends = graph.input.shape, graph.input.range
    random = rng.integers(ends.low, ends.high, shape, endpoint=True)
    inactive = np.clip(0, ends.low, ends.high)
    single = np.full(shape, inactive)
    single[rng.integers(shape[0])] = ends.high
    return np.stack(
        [
            random,
            np.full(shape, ends.low),
            np.full(shape, ends.high),
            np.where(rng.random(shape) < 0.8, inactive, random),
            np.where(rng.random(shape) < 0.5, ends.low, ends.high),
            single,
        ]
    )


def _input(d: Drawing) -> Tensor:
    dtype = d.input_dtype()
    low = max(dtype.low, 0) if d.chance(40) else dtype.low
    high = min(dtype.high, 100) if d.chance(30) else dtype.high
    zero_point = d.draw(st.integers(dtype.low, dtype.high)) if d.chance(40) else 0
    bounds = Range(low, high) if d.chance(80) else None
    sparse, shape = d.chance(30), (d.size(300),)
    return Tensor("x", shape, dtype, zero_point=zero_point, bounds=bounds, sparse=sparse)


def _linear(d: Drawing, name: str, source: Tensor, known: Range, *, last: bool) -> Linear:
    units = d.size(d.weights_left // source.count)
    d.weights_left -= units * source.count
    layer = linear(
        name,
        source,
        _weights(d, (units, source.count)),
        d.rng.integers(-1, 1, units, endpoint=True) << d.draw(st.sampled_from([0, 8, 14, 22, 30])),
        input_shift=d.draw(st.sampled_from([0, 0, 0, 1, 3, 8])),
        wrap=d.draw(st.sampled_from([None, None, None, 16, 24, 32])),
        dtype=d.output_dtype(last),
    )
    widest = d.widest_accumulator
    low, high = layer.accumulator_bounds(known)
    if layer.wrap is None and max(-low.min(), high.max() + 1) > 1 << (widest - 1):
        layer = replace(layer, wrap=32 if d.chance(3) else widest)
    elif layer.wrap is not None and layer.wrap > widest:
        layer = replace(layer, wrap=widest)
    return _requantized(d, layer, known)


def _weights(d: Drawing, shape: tuple[int, int]) -> NDArray[np.int8]:
    held = weights_of(d.encoding)
    fill = d.draw(st.sampled_from(FILLS))
    if fill in ("lowest", "highest"):
        return np.full(shape, held[0 if fill == "lowest" else -1], np.int8)
    weights = d.rng.choice(held, shape)
    if 0 in held and fill in ("sparse", "zero"):
        weights[d.rng.random(shape) < (0.7 if fill == "sparse" else 1)] = 0
    return weights


def _requantized(d: Drawing, layer: Linear, known: Range) -> Linear:
    """The layer with parameters that leave something of its accumulators."""
    units, dtype = len(layer.bias), layer.output.dtype
    reach = int(np.max(np.abs(layer.accumulator_bounds(known))))
    if layer.wrap is not None:
        reach = min(reach, 1 << (layer.wrap - 1))
    largest = d.draw(st.sampled_from([1, 1, 255, 65535, 65535]))
    multipliers = d.rng.integers(1, largest, units if d.chance(60) else 1, endpoint=True)
    fitting = (reach * largest).bit_length() - dtype.bits + d.draw(st.integers(-1, 4))
    shift = d.draw(st.integers(0, MAX_SHIFT)) if d.chance(20) else min(max(fitting, 0), MAX_SHIFT)
    zero_point = d.draw(st.integers(dtype.low, dtype.high)) if d.chance(40) else 0
    low = zero_point if d.chance(40) else dtype.low
    high = d.draw(st.integers(low, dtype.high)) if d.chance(20) else dtype.high
    how = requantization(
        multipliers.tolist(),
        shift,
        rounding=d.draw(st.sampled_from(Rounding)),
        zero_point=zero_point,
        low=low,
        high=high,
    )
    if dtype == BIT and d.chance(50):
        how = sign_test()
    output = replace(layer.output, zero_point=how.zero_point)
    return replace(layer, output=output, requantization=how)
