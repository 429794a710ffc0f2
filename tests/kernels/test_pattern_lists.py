"""Pattern lists on Z80 at their ends: the longest sums, every step between weights, any block."""

from collections.abc import Sequence

import numpy as np
import pytest
from builders import compile_with, differences, requantization, single

from kernels.dtypes import INT8, UINT8, DType
from kernels.encodings import pattern_lists

VALUES = [(-1, 1), (0, 1), (-1, 0, 1), (-2, 2), (-4, 4), (-2, 1), (-4, -3), (3,), range(-4, 5)]


@pytest.mark.parametrize("values", VALUES, ids=str)
@pytest.mark.parametrize("source", [UINT8, INT8])
@pytest.mark.parametrize("wrap", [None, 16, 24, 32])
def test_longest_sums(values: Sequence[int], source: DType, wrap: int | None) -> None:
    """All of a block's 256 inputs at one end, in rows of one weight, of two in turns, and mixed."""
    rng = np.random.default_rng(len(values))
    low, high = values[0], values[-1]
    weights = rng.choice(np.array(values), (13, 256))
    weights[0], weights[1], weights[2, ::2], weights[2, 1::2] = low, high, low, high
    bias = rng.integers(-(1 << 14), 1 << 14, 13)
    how = requantization(1, 0 if wrap == 16 else 6)
    graph = single(weights, bias, how, source=source, wrap=wrap)
    ends = np.array([[source.low] * 256, [source.high] * 256, [source.low, source.high] * 128])
    agreeing = np.where(weights[3:7] > np.mean(values), source.high, source.low)
    mixed = rng.integers(source.low, source.high, (2, 256), endpoint=True)
    inputs = np.concatenate([ends, agreeing, mixed])
    assert differences(compile_with(graph, "cpm", pattern_lists.NAME), inputs) == []


@pytest.mark.parametrize("inputs", [255, 257, 513])
@pytest.mark.parametrize("outputs", [1, 2, 12, 13])
@pytest.mark.parametrize("wrap", [16, 24, 32])
def test_blocks_of_inputs(inputs: int, outputs: int, wrap: int) -> None:
    """Sums that are the outputs, and others; what a block adds to what others left."""
    rng = np.random.default_rng(inputs)
    weights = rng.choice([-1, 0, 1], (outputs, inputs))
    bias = rng.integers(-(1 << 14), 1 << 14, outputs)
    how = requantization(1, 0 if wrap == 16 else 3)
    graph = single(weights, bias, how, source=UINT8, wrap=wrap)
    rows = rng.choice([0, 255], (3, inputs))
    rows[0] = 255
    assert differences(compile_with(graph, "cpm", pattern_lists.NAME), rows) == []
