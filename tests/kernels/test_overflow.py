"""Accumulators that overflow: refused with layer, unit, bound and mend, or wrapped as meant.

Every op that accumulates, every encoding that has a kernel for it, and both instruction sets.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import differences, graph_of, reads, requantization, single, weights_of
from builders import linear as linear_of
from numpy.typing import NDArray

from kernels.compile import compile_graph
from kernels.dtypes import INT8, INT16, UINT8
from kernels.emit import kernels_for
from kernels.encodings import find_encoding
from kernels.errors import AccumulatorOverflow
from kernels.ir import Graph, Node, Range, Tensor
from kernels.ops.add import Add
from kernels.ops.avg_pool import AvgPool
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.linear import Linear
from kernels.ops.matrix_product import MatrixProduct
from kernels.passes.ranges import prove_ranges
from kernels.reference import run
from kernels.target import find_target

ISAS = ("uno", "cpm")
HIGHEST = (1 << 31) - 1
HOW = requantization(1, 16)
BIG = HIGHEST - 100
OPS: dict[str, type[MatrixProduct]] = {"linear": Linear, "conv1d": Conv1d, "conv2d": Conv2d}
SHAPES = {"linear": (6,), "conv1d": (4, 3), "conv2d": (2, 3, 2)}  # of the input
KERNELS = {"linear": (6,), "conv1d": (3, 2), "conv2d": (2, 2, 2)}  # of a unit's weights
REFUSED = {("cpm", "code", 32)}  # of convolutions, which do not read bits either
POSITIONS: dict[str, tuple[int, ...]] = {"linear": (), "conv1d": (3,), "conv2d": (1, 2)}


def layer_of(op: str, weights: NDArray[np.int8], bias: NDArray[np.int32], source: Tensor) -> Node:
    """A layer of three units, or as many as there are."""
    output = Tensor("y", (*POSITIONS[op], len(bias)), INT16)
    node: Node = OPS[op]("fc", source, output, weights, bias, HOW)  # type: ignore[assignment]
    return node


def image(shape: tuple[int, ...], name: str = "x", bounds: Range | None = None) -> Tensor:
    return Tensor(name, shape, INT16, bounds=bounds)


def overflowing(op: str) -> tuple[Node, Node, tuple[int, int, int], str]:
    """A layer, the same mended, the unit and bounds that are told, and what would mend it."""
    if op in OPS:
        weights = np.ones((3, *KERNELS[op]), np.int8)
        weights[0] = 0
        source = Tensor("x", SHAPES[op], UINT8)
        bad = layer_of(op, weights, np.array([BIG, BIG, BIG], np.int32), source)
        good = layer_of(op, weights, np.array([BIG, 0, 0], np.int32), source)
        most = BIG + 255 * int(weights[1].size)
        return bad, good, (1, BIG, most), "scale the weights down, or mark the layer wrap"
    x, narrow = image((4, 4, 1)), image((4, 4, 1), bounds=Range(-9, 9))
    how = requantization(1, 8)
    y = image((4, 4, 1), "y")
    if op == "add":
        bad = Add("fc", x, x, y, (65535, 65535), how)
        good = Add("fc", narrow, narrow, y, (65535, 65535), how)
        most = 2 * 65535
        return bad, good, (0, -32768 * most, 32767 * most), "smaller multipliers"
    side = 300
    x, narrow = image((side, side, 1)), image((side, side, 1), bounds=Range(-9, 9))
    told = (0, -32768 * side * side, 32767 * side * side)
    if op == "avg_pool":
        y = image((1, 1, 1), "y")
        bad, good = (
            AvgPool("fc", source, y, (side, side), requantization=how) for source in (x, narrow)
        )
        return bad, good, told, "smaller window"
    y = image((1,), "y")
    bad, good = (GlobalAvgPool("fc", source, y, requantization=how) for source in (x, narrow))
    return bad, good, told, "smaller image"


def graph(node: Node) -> Graph:
    (name, *_) = node.inputs
    source = next(value for value in vars(node).values() if getattr(value, "name", "") == name)
    return graph_of(node, source=source)


@pytest.mark.parametrize("target", ISAS)
@pytest.mark.parametrize("op", [*OPS, "add", "avg_pool", "global_avg_pool"])
def test_refusals_name_layer_unit_bounds_and_what_mends(op: str, target: str) -> None:
    bad, good, (unit, low, high), mend = overflowing(op)
    with pytest.raises(AccumulatorOverflow) as caught:
        compile_graph(graph(bad), find_target(target))
    message = str(caught.value)
    assert message.startswith(f"fc: unit {unit} can reach [{low}, {high}], which a 32-bit ")
    assert "bound the input" in message
    assert mend in message
    assert prove_ranges(graph(good)).keys() == {*good.inputs, good.output.name}


def accumulators(node: Node, xs: NDArray[np.int64]) -> NDArray[np.int64]:
    assert isinstance(node, Linear | Conv1d | Conv2d)
    return node.accumulate(xs)


def wrapped(acc: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Numpy's own wrap: the low bytes, sign-extended from their highest bit."""
    if bits == 24:
        return acc.astype(np.int32) << 8 >> 8
    return acc.astype({16: np.int16, 32: np.int32}[bits]).astype(np.int64)


def wrapping_cases() -> list[tuple[str, str, str, int]]:
    return [
        (op, target, encoding, bits)
        for op, kind in OPS.items()
        for target in ISAS
        for encoding in kernels_for(find_target(target).isa, kind)
        if encoding is not None
        for bits in (16, 24, 32)
        if _serves(encoding, bits)
        if op == "linear" or not (encoding == "xnor" or (target, encoding, bits) in REFUSED)
    ]


def _serves(encoding: str, bits: int) -> bool:
    """Whether an encoding has such accumulators."""
    problem = find_encoding(encoding).problem
    weights = weights_of(encoding)[:1, np.newaxis] * np.ones((1, 1), np.int8)
    return problem(weights, bits, reads(encoding)[0]) is None


@pytest.mark.parametrize(("op", "target", "encoding", "bits"), wrapping_cases())
def test_layers_that_wrap_do_as_numpy(op: str, target: str, encoding: str, bits: int) -> None:
    rng = np.random.default_rng(bits)
    held, dtype = weights_of(encoding), reads(encoding)[0]
    if encoding == "trits":
        held = np.array([-1, 0, 1], np.int8)
    weights = rng.choice(held, (12, *KERNELS[op])).astype(np.int8)
    source = Tensor("x", SHAPES[op], dtype)
    edge = 1 << (bits - 1)
    bias = rng.choice([edge - 1, -edge, edge - 3, 2 - edge], 12).astype(np.int32)
    node = layer_of(op, weights, bias, source)
    how = requantization(1, bits - 16)
    node = replace(node, wrap=bits, requantization=how)  # type: ignore[type-var]
    xs = rng.integers(dtype.low, dtype.high + 1, (12, *SHAPES[op]))
    net = graph_of(node, source=source)
    exact = accumulators(node, xs)
    outside = (exact < -edge) | (exact >= edge)
    assert outside.any()
    assert not outside.all()
    (want,) = (run(net, xs)[name] for name in net.outputs)
    shifted = wrapped(exact, bits) >> (bits - 16)
    assert np.array_equal(want.reshape(len(xs), -1), shifted.reshape(len(xs), -1))
    assert differences(compile_graph(net, find_target(target), {"fc": encoding}), xs) == []


@pytest.mark.parametrize("target", ISAS)
def test_a_chain_wraps_at_each_layer(target: str) -> None:
    x = Tensor("x", (3,), INT8)
    one = linear_of("one", x, np.full((4, 3), 127), 30_000, wrap=16)
    two = linear_of("two", one.output, np.full((2, 4), -128), [5, -5], wrap=16)
    net = graph_of(one, two, source=x, outputs=("one_out", "two_out"))
    xs = np.array([[127, 127, 127], [-128, -128, -128], [0, 0, 1], [0, 0, 0]])
    first = wrapped(xs @ np.full((3, 4), 127) + 30_000, 16)
    second = wrapped(first @ np.full((4, 2), -128) + [5, -5], 16)
    found = run(net, xs)
    assert np.array_equal(found["one_out"], first)
    assert np.array_equal(found["two_out"], second)
    assert differences(compile_graph(net, find_target(target)), xs) == []


def test_without_a_mark_the_same_is_refused() -> None:
    marked = single([[1]], HIGHEST, wrap=32)
    plain = single([[1]], HIGHEST)
    assert run(marked, np.array([[1]]))["fc_out"].tolist() == [[-32768]]
    with pytest.raises(AccumulatorOverflow, match=r"can reach \[2147483647, 2147483902\]"):
        compile_graph(plain, find_target("uno"))
