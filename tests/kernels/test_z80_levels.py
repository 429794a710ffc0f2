"""Inputs of few levels on Z80: exact at every number of levels, and what a row costs."""

import numpy as np
import pytest
from builders import DENSE8, compile_with, differences, requantization, single
from strategies import batch

from harness.run import Runner
from kernels.dtypes import INT8, UINT8, DType
from kernels.ir import Graph, Range


def graph_of_levels(
    inputs: int, outputs: int, x: Range, source: DType = UINT8, wrap: int = 24
) -> Graph:
    rng = np.random.default_rng(inputs)
    weights = rng.integers(-128, 128, (outputs, inputs))
    how = requantization(1, 6)
    return single(weights, 5, how, source=source, bounds=x, wrap=wrap)


@pytest.mark.parametrize("wrap", [16, 24, 32])
@pytest.mark.parametrize("inputs", [2, 3, 16, 63, 64, 84, 85, 127, 128])
@pytest.mark.parametrize("outputs", [1, 2, 3, 4, 5, 9])
def test_shapes(inputs: int, outputs: int, wrap: int) -> None:
    graph = graph_of_levels(inputs, outputs, Range(0, min(inputs // 2, 16)), wrap=wrap)
    program = compile_with(graph, "cpm", DENSE8)
    assert "fc_lay:" in program.source
    assert differences(program, batch(graph, inputs)) == []


@pytest.mark.parametrize(
    ("source", "x"), [(UINT8, Range(3, 9)), (INT8, Range(-5, 5)), (INT8, Range(-128, -120))]
)
def test_levels_count_from_the_lowest(source: DType, x: Range) -> None:
    graph = graph_of_levels(40, 7, x, source)
    program = compile_with(graph, "cpm", DENSE8)
    assert "fc_lay:" in program.source
    assert differences(program, batch(graph, 3)) == []


@pytest.mark.parametrize(
    ("target", "inputs", "high"),
    [("cpm-ei", 64, 16), ("cpm", 129, 16), ("cpm", 64, 33), ("cpm", 64, 0)],
)
def test_products_elsewhere(target: str, inputs: int, high: int) -> None:
    graph = graph_of_levels(inputs, 4, Range(0, high))
    program = compile_with(graph, target, DENSE8)
    assert "fc_lay:" not in program.source
    assert differences(program, batch(graph, 3)) == []


@pytest.mark.parametrize(("wrap", "level"), [(16, 29), (24, 41), (32, 41)])
def test_cost(wrap: int, level: int) -> None:
    """Of one more pair of active inputs, and of one more level, in one row and in two."""

    def row(levels: int, active: int, weight: int = -128) -> int:
        def layer(outputs: int) -> int:
            weights = np.full((outputs, 32), weight)
            graph = single(weights, 0, requantization(1, 12), bounds=Range(0, levels), wrap=wrap)
            x = np.array([1] * active + [0] * (32 - active))
            return Runner(compile_with(graph, "cpm", DENSE8)).infer(x).layer_cycles["fc"]

        # Rows alone: seven and eight rows of 33 bytes take two pages and four lists alike.
        return layer(8) - layer(7)

    assert row(4, 8) - row(4, 6) == 2 * 28  # weights of 0 carry nowhere
    assert row(4, 7) == row(4, 8)  # an odd level has one more
    assert row(5, 8) - row(4, 8) == level
    # 255 carries into R's upper byte each time but the first, and R into the sum's upper half.
    assert row(4, 8, 127) - row(4, 8) == 7 * -1 + 5 * (wrap > 16)
