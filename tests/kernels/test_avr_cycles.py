"""Cycle formulas of the AVR kernels of packed and binary weights, held against the emulator.

By differences of programs that differ in inputs or outputs alone, as in `test_cycles`.
"""

import numpy as np
import pytest
from builders import compile_with, only_layer, requantization, single
from numpy.typing import ArrayLike

from harness.run import Runner
from kernels.binary import binary_linear, signs
from kernels.dtypes import BIT, INT8, INT16, UINT8, DType
from kernels.encodings import bitmap, dense8, group_sums, packed1, packed2, packed4, xnor
from kernels.ir import Graph, Range

NARROW, WIDE = Range(0, 1), None


def cycles(graph: Graph, target: str, encoding: str, x: ArrayLike) -> int:
    """Those of the only layer."""
    runner = Runner(compile_with(graph, target, encoding))
    return runner.infer(np.array(x)).layer_cycles[graph.nodes[0].name]


def stack_peak(graph: Graph, target: str, encoding: str) -> int:
    runner = Runner(compile_with(graph, target, encoding))
    return runner.infer(np.zeros(graph.input.count, np.int64)).stack_peak


def step(
    encoding: str, outputs: int, weight: int, source: DType, bounds: Range | None, **more: int
) -> int:
    """Cycles of one input of one block more, with the walk that is not unrolled."""

    def layer(inputs: int) -> int:
        weights = np.full((outputs, inputs), weight)
        graph = single(weights, source=source, bounds=bounds, wrap=more.get("wrap"))
        return cycles(graph, "uno", encoding, [0] * inputs)

    return layer(6) - layer(5)


@pytest.mark.parametrize(
    ("encoding", "outputs", "bounds", "masks", "sums"),
    [
        (packed4.NAME, 2, NARROW, 1, [2, 2]),
        (packed4.NAME, 4, NARROW, 2, [2, 2, 2, 2]),
        (packed4.NAME, 3, NARROW, 1, [2, 2, 2]),
        (packed4.NAME, 2, WIDE, 1, [2, 3]),
        (packed2.NAME, 4, NARROW, 3, [2, 2, 2, 2]),
        (packed2.NAME, 3, NARROW, 2, [2, 2, 2]),
        (packed2.NAME, 4, WIDE, 3, [2, 3, 3, 3]),
    ],
)
def test_masked(
    encoding: str, outputs: int, bounds: Range | None, masks: int, sums: list[int]
) -> None:
    taken = 3 * -(-outputs // (2 if encoding == packed4.NAME else 4))
    products = taken + masks + sum(2 + size for size in sums)
    sum_of_inputs = 3 if bounds == NARROW else 4  # of one byte or two
    assert step(encoding, outputs, 7 if encoding == packed4.NAME else 1, UINT8, bounds) == (
        2 + 3 + products + sum_of_inputs
    )


@pytest.mark.parametrize(
    ("outputs", "bounds", "size"), [(1, WIDE, 2), (8, WIDE, 2), (16, NARROW, 1)]
)
def test_packed1(outputs: int, bounds: Range | None, size: int) -> None:
    sum_of_inputs, loads = 2 + size, 3 * -(-outputs // 8)
    found = step(packed1.NAME, outputs, 1, UINT8, bounds)
    assert found == 2 + 3 + sum_of_inputs + loads + 2 * size * outputs


@pytest.mark.parametrize("weight", [-1, 0, 1])
@pytest.mark.parametrize("width", [2, 3])
def test_bitmap(weight: int, width: int) -> None:
    found = step(bitmap.NAME, 5, weight, UINT8, None, wrap=8 * width)
    product = {-1: 7 + width, 0: 3, 1: 8 + width}[weight]
    # 25 signs become 30, so the fourth byte was loaded already. The loop is too long for BRNE.
    assert found == 2 + 4 + 3 + 5 * product


@pytest.mark.parametrize("weight", [-1, 1])
def test_bitmap_signs(weight: int) -> None:
    """Sixteen signs more take two bytes of them."""

    def layer(inputs: int) -> int:
        graph = single(np.full((8, inputs), weight), wrap=16)
        return cycles(graph, "uno", bitmap.NAME, [0] * inputs)

    product = {-1: 9, 1: 10}[weight]
    assert layer(7) - layer(5) == 2 * (2 + 4 + 3 + 8 * product) + 2 * 16


@pytest.mark.parametrize(("source", "offset"), [(UINT8, 0), (INT8, 2)])
def test_group_sums(source: DType, offset: int) -> None:
    def layer(inputs: int, outputs: int) -> int:
        weights = np.ones((outputs, inputs))
        graph = single(weights, 0, requantization(1, 4), source=source, wrap=16)
        return cycles(graph, "uno", group_sums.NAME, [0] * inputs)

    for outputs in (1, 2):  # each unrolled in its own way
        two_groups = (layer(16, outputs + 2) - layer(8, outputs + 2)) - (
            layer(16, outputs) - layer(8, outputs)
        )
        assert two_groups == 2 * 20
    table = layer(16, 2) - layer(8, 2) - 2 * 20
    assert table == 2 * (114 + 4 * offset)


@pytest.mark.parametrize("bytes_of_inputs", [2, 19, 20])
def test_xnor(bytes_of_inputs: int) -> None:
    def layer(size: int, outputs: int) -> int:
        node = binary_linear(
            "fc", signs("x", 8 * size), np.ones((outputs, 8 * size)), [0] * outputs
        )
        return cycles(
            Graph("net", node.input, (node,), ("fc_out",)), "uno", xnor.NAME, [1] * 8 * size
        )

    def eight_inputs(outputs: int) -> int:
        return layer(bytes_of_inputs, outputs) - layer(bytes_of_inputs - 1, outputs)

    assert eight_inputs(9) - eight_inputs(7) == 2 * 7


@pytest.mark.parametrize("target", ["uno", "mega", "attiny85"])
@pytest.mark.parametrize(
    ("encoding", "source", "extra"),
    [
        (packed4.NAME, UINT8, "call"),
        (packed2.NAME, UINT8, "call"),
        (packed1.NAME, INT16, "call"),
        (bitmap.NAME, INT16, "call and Y"),
        (group_sums.NAME, UINT8, ""),
        (xnor.NAME, BIT, ""),
    ],
)
def test_stack(target: str, encoding: str, source: DType, extra: str) -> None:
    graph = single(np.ones((9, 9)), source=source)
    assert only_layer(graph).input.dtype == source
    address = 3 if target == "mega" else 2
    peak = {"": 0, "call": address, "call and Y": address + 2}[extra]
    assert stack_peak(graph, target, encoding) == address + peak


@pytest.mark.parametrize(
    ("encoding", "source", "weights"),
    [
        (dense8.NAME, UINT8, 20 * 71),
        (packed4.NAME, UINT8, 71 * (4 + 4 + 2)),  # blocks of 8 outputs
        (packed2.NAME, UINT8, 71 * 5),  # of 4
        (packed1.NAME, UINT8, 71 * 3),  # of 8
        (bitmap.NAME, UINT8, 71 * 3 + sum(-(-71 * n // 8) for n in (8, 8, 4))),
        (group_sums.NAME, UINT8, 20 * (4 + 4 + 1)),
        (xnor.NAME, BIT, 20 * 9),
    ],
)
def test_bytes_of_constants(encoding: str, source: DType, weights: int) -> None:
    how = requantization([300] * 20, 9)
    program = compile_with(single(np.ones((20, 71)), 0, how, source=source), "uno", encoding)
    constants = next(part for part in program.image.parts if part.name == "fc constants")
    assert constants.size == weights + 20 * (2 + 2)  # a bias and a multiplier
