"""Requantization by both instruction sets: products of any width, at every bound."""

import numpy as np
import pytest
from builders import DENSE8, compile_with, differences, requantization, single

from kernels.dtypes import BYTES, INT16, DType
from kernels.ir import Graph
from kernels.quant import Rounding

TARGETS = ("uno", "cpm")
INT32_HIGH = (1 << 31) - 1
MULTIPLIERS = ([1], [2, 3], [200, 255], [256, 40_000], [65_535])
SHIFTS = (0, 1, 4, 7, 8, 9, 12, 15, 16, 17, 23, 24, 25, 31)


def accumulators(bits: int) -> list[int]:
    """Biases, each of which stands for an accumulator; inputs add 0 to 255."""
    high = (1 << (bits - 1)) - 1 - 255
    return [-high, -(1 << (bits - 1)), -70_000 % high, -1000, -200, -1, 0, 1, 1000, high // 3, high]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("multipliers", MULTIPLIERS, ids=str)
@pytest.mark.parametrize("dtype", BYTES, ids=str)
@pytest.mark.parametrize("relu", [False, True])
def test_every_width(
    target: str, bits: int, multipliers: list[int], dtype: DType, relu: bool
) -> None:
    biases = accumulators(bits)
    per_unit = [multipliers[unit % len(multipliers)] for unit in range(len(biases))]
    rounding = Rounding.HALF_UP if relu else Rounding.FLOOR
    for shift in SHIFTS:
        zero_point = 0 if relu else dtype.high // 2
        how = requantization(
            per_unit,
            shift,
            rounding=rounding if shift % 2 else Rounding.HALF_UP,
            zero_point=zero_point,
            low=zero_point if relu else dtype.low,
            high=dtype.high,
        )
        graph = single([[1]] * len(biases), biases, how, dtype=dtype, wrap=bits)
        inputs = np.array([[0], [1], [129], [255]])
        assert differences(compile_with(graph, target, DENSE8), inputs) == []


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("bias", "zero_point"), [(INT32_HIGH - 300, 100), (-INT32_HIGH, -100)])
@pytest.mark.parametrize("shift", [0, 1, 15, 16])
def test_zero_points_at_the_ends_of_32_bits(
    target: str, bias: int, zero_point: int, shift: int
) -> None:
    how = requantization(1, shift, zero_point=zero_point)
    program = compile_with(single([[1]], bias, how), target, DENSE8)
    assert differences(program, np.array([[0], [127], [255]])) == []


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("zero_point", [INT16.low, -300, 300, INT16.high])
@pytest.mark.parametrize("multiplier", [1, 99, 65535])
@pytest.mark.parametrize("shift", [0, 3, 8, 10, 18])
def test_zero_points_of_16_bits(target: str, zero_point: int, multiplier: int, shift: int) -> None:
    """What the zero point brings back into 16 bits must not have been cut off before."""

    def graph(bias: int) -> Graph:
        how = requantization(multiplier, shift, zero_point=zero_point)
        return single([[1], [-1]], [bias, -bias], how)

    for bias in (0, 20_000, 65_000, 1 << 20):
        program = compile_with(graph(bias), target, DENSE8)
        assert differences(program, np.array([[0], [1], [200], [255]])) == []
