"""T-states of the Z80's kernels for few-valued weights are what their docstrings say.

By differences of layers that differ in one weight, group or row, which leaves out what is done once
a layer. Requantization is the same for all outputs: a shift that leaves 0.
"""

import numpy as np
import pytest
from builders import compile_with, requantization, single
from numpy.typing import ArrayLike

from harness.run import Runner
from kernels.dtypes import BIT, UINT8

WIDTHS = (16, 24, 32)


def cycles(
    target: str,
    encoding: str,
    weights: ArrayLike,
    x: ArrayLike,
    wrap: int = 16,
) -> int:
    source = BIT if encoding == "xnor" else UINT8
    graph = single(weights, 0, requantization(1, 15), source=source, wrap=wrap)
    runner = Runner(compile_with(graph, target, encoding))
    return runner.infer(np.array(x)).layer_cycles["fc"]


@pytest.mark.parametrize("wrap", WIDTHS)
@pytest.mark.parametrize(("target", "index"), [("cpm", 28), ("cpm-ei", 57)])
def test_value_lists_indices(target: str, index: int, wrap: int) -> None:
    """Inputs of 0 carry nowhere."""

    def layer(ones: int) -> int:
        row = [1] * ones + [0] * (40 - ones)
        return cycles(target, "value-lists", [row], [0] * 40, wrap)

    assert layer(12) - layer(8) == 4 * index
    if target == "cpm":
        assert layer(9) - layer(8) == index + 21


def test_value_lists_carries() -> None:
    def layer(target: str, high: int) -> int:
        return cycles(target, "value-lists", [[1] * 8], [high] * 8)

    # 8 * 255 carries seven times, in R and, where inputs are copied, in their sum.
    assert layer("cpm", 255) - layer("cpm", 0) == 7 * (-1 - 1)
    assert layer("cpm-ei", 255) - layer("cpm-ei", 0) == 7 * (3 - 1)


@pytest.mark.parametrize(("wrap", "value"), [(16, 29), (24, 41), (32, 41)])
def test_value_lists_values(wrap: int, value: int) -> None:
    def layer(highest: int) -> int:
        return cycles("cpm", "value-lists", [[0] * 7 + [highest]], [0] * 8, wrap)

    assert layer(7) - layer(6) == value


@pytest.mark.parametrize(("target", "byte"), [("cpm", 121), ("cpm-ei", 169)])
def test_xnor(target: str, byte: int) -> None:
    """Four more outputs, with so many bytes of inputs."""

    def rows(count: int) -> int:
        eight, four = (
            cycles(target, "xnor", np.ones((n, 8 * count)), [0] * 8 * count) for n in (8, 4)
        )
        return eight - four

    assert rows(3) - rows(2) == rows(9) - rows(8) == byte
    assert rows(25) - rows(17) == 8 * byte + 10


@pytest.mark.parametrize(("target", "group"), [("cpm", 42), ("cpm-ei", 58)])
def test_group_sums(target: str, group: int) -> None:
    """Of five inputs, two more in the same page of tables, then four in another."""

    def layer(outputs: int, inputs: int) -> int:
        return cycles(target, "group-sums", np.ones((outputs, inputs)), [0] * inputs)

    rows = [layer(3, n) - layer(2, n) for n in (10, 20, 40)]
    assert rows[1] - rows[0] == 2 * group
    assert rows[2] - rows[1] == 4 * group + 4


@pytest.mark.parametrize(
    ("encoding", "weights", "byte"),
    [
        ("packed4", [1] * 2, 133),
        ("packed2", [1] * 4, 231),
        ("packed1", [1] * 8, 447),
        ("bitmap", [0] * 7 + [1], 51 + 7 * 46 + 82),
        ("bitmap", [1] * 8, 51 + 8 * 82 + 20),
        ("bitmap", [-1] * 8, 51 + 8 * 80 + 20),
    ],
)
def test_packed_weights_are_unpacked(encoding: str, weights: list[int], byte: int) -> None:
    """A row's bytes more, beside the products of dense8."""

    def rows(kind: str, inputs: int) -> int:
        row = weights * (inputs // len(weights))
        four, two = (cycles("cpm", kind, [row] * n, [128] * inputs) for n in (4, 2))
        return four - two

    # 16 inputs, of which none is left over in any loop.
    unpacked, products = (rows(kind, 32) - rows(kind, 16) for kind in (encoding, "dense8"))
    assert unpacked - products == 2 * 16 // len(weights) * byte
