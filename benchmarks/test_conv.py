"""Convolutions by themselves: 3x3, 8 to 8 channels, over 8x8 pixels, and their relatives.

Weights are uniformly random, padding keeps the size. Weights of -3..3 (`w3`) keep sums of int8
within 16 bits, as proven; int8 weights need 24, unless the model means 16 to wrap (`wrap16`).
Cycles per MAC count every weight at every position, the padding's included, beside the goal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.pytest_plugin import Cycles
from kernels.dtypes import INT8, INT16, DType
from kernels.ir import Graph, Range, Tensor
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.quant import Requantization, Rounding
from models import Evaluation, Model, Reference

SIZE, CHANNELS, INPUTS = 8, 8, 5
RELU = Range(0, 127)  # what int8 activations are behind ReLU


@dataclass(frozen=True)
class Case:
    """A layer, with an encoding; goal: cycles per MAC, None where none is set."""

    name: str
    target: str
    encoding: str
    goal: float | None = None
    bounds: Range | None = None
    groups: int = 1
    taps: int = 3
    largest: int = 127
    wrap: int | None = None
    sequence: bool = False
    dtype: DType = INT8

    @property
    def node(self) -> Conv1d | Conv2d:
        """The layer."""
        rng = np.random.default_rng(1)
        axes = (SIZE * SIZE,) if self.sequence else (SIZE, SIZE)
        x = Tensor("x", (*axes, CHANNELS), self.dtype, bounds=self.bounds)
        y = Tensor("y", (*axes, CHANNELS), self.dtype)
        shape = (CHANNELS, CHANNELS // self.groups, *(self.taps,) * len(axes))
        weights = rng.integers(-self.largest, self.largest, shape, np.int8, endpoint=True)
        bias = rng.integers(-999, 999, CHANNELS).astype(np.int32)
        multiplier = rng.integers(128, 255, CHANNELS, endpoint=True)
        how = Requantization(multiplier, 16, Rounding.HALF_UP, 0, self.dtype.low, self.dtype.high)
        pad = self.taps // 2
        if self.sequence:
            return Conv1d(
                "conv", x, y, weights, bias, how, wrap=self.wrap, groups=self.groups, padding=pad
            )
        return Conv2d(
            "conv", x, y, weights, bias, how, wrap=self.wrap, groups=self.groups, padding=(pad, pad)
        )

    def model(self) -> Model:
        """The layer as a model, with random inputs within its bounds."""
        node = self.node
        x, y = node.input, node.output
        known = x.range
        rng = np.random.default_rng(2)
        inputs: NDArray[np.int64] = rng.integers(known.low, known.high + 1, (INPUTS, *x.shape))
        return Model(
            name=self.name,
            title=self.name,
            graph=Graph("convolution", x, (node,), (y.name,)),
            inputs=inputs.astype(x.dtype.numpy),  # type: ignore[arg-type]
            labels=None,
            evaluation=Evaluation("none", np.zeros((0, *x.shape), np.uint8), np.zeros(0, np.int64)),
            reference=Reference("none", lambda: 0.0),
        )


CASES = [
    Case("conv3x3-wrap16", "uno", "code", goal=6.3, wrap=16),
    Case("conv3x3-wrap16", "mega", "code", goal=6.3, wrap=16),
    Case("conv3x3-w3", "uno", "code", goal=6.3, largest=3),
    Case("conv3x3", "uno", "code"),
    Case("conv3x3-w3", "uno", "dense8", largest=3),
    Case("conv3x3", "uno", "dense8"),
    Case("conv3x3-relu-wrap16", "cpm", "code", goal=65.0, bounds=RELU, wrap=16),
    Case("conv3x3-relu-w3", "cpm", "code", goal=65.0, bounds=RELU, largest=3),
    Case("conv3x3-wrap16", "cpm", "code", goal=65.0, wrap=16),
    Case("conv3x3-relu", "cpm", "code", bounds=RELU),
    Case("conv3x3-relu-w3", "cpm", "dense8", bounds=RELU, largest=3),
    Case("conv3x3-relu", "cpm", "dense8", bounds=RELU),
    Case("conv1x1", "uno", "code", taps=1),
    Case("conv1x1", "cpm", "dense8", taps=1),
    Case("depthwise3x3", "uno", "code", groups=CHANNELS),
    Case("depthwise3x3", "uno", "dense8", groups=CHANNELS),
    Case("depthwise3x3-w20", "cpm", "dense8", groups=CHANNELS, largest=20),
    Case("conv1d-3", "uno", "code", sequence=True),
    Case("conv1d-3", "cpm", "code", sequence=True, bounds=RELU),
    Case("conv3x3-int16", "mega", "code", dtype=INT16),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.name}-{c.target}-{c.encoding}")
def test_convolution(cycles: Cycles, case: Case) -> None:
    model = case.model()
    encodings = {"conv": case.encoding}
    measured = cycles.measure(model, case.target, inputs=model.inputs, encodings=encodings)
    measured.check()
    layer = measured.records[1]
    assert layer.cycles_per_mac is not None
    beside = f", goal {case.goal}" if case.goal else ""
    cycles.note(
        f"{case.name} on {case.target}, {case.encoding}: {layer.cycles_per_mac:.2f} cycles per MAC"
        f"{beside}"
    )
    assert case.goal is None or layer.cycles_per_mac <= case.goal
