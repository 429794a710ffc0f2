"""Convolutions by themselves: 3x3, 8 to 8 channels, over 8x8 pixels, and their relatives.

Weights are uniformly random, padding keeps the size. Weights of -3..3 (`w3`) keep sums of int8
within 16 bits, as proven; int8 weights need 24, unless the model means 16 to wrap (`wrap16`).
Cycles per MAC count every weight at every position, the padding's included, beside the goal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import plain_c
import pytest
from goals import Goal
from numpy.typing import NDArray

from harness.pytest_plugin import Cycles
from harness.run import Runner
from kernels.compile import compile_graph
from kernels.dtypes import INT8, INT16, DType
from kernels.ir import Graph, Range, Tensor
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.quant import Requantization, Rounding
from kernels.reference import run
from kernels.target import find_target
from models import Evaluation, Model, Reference

SIZE, CHANNELS, INPUTS = 8, 8, 5
RELU = Range(0, 127)  # what int8 activations are behind ReLU


@dataclass(frozen=True)
class Case:
    """A layer, with an encoding.

    goal, stretch: cycles per MAC that are wanted, and beyond that; None where none is set.
    """

    name: str
    target: str
    encoding: str
    goal: float | None = None
    stretch: float | None = None
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
    Case("conv3x3-wrap16", "uno", "code", goal=6.3, stretch=5.3, wrap=16),
    Case("conv3x3-wrap16", "mega", "code", goal=6.3, stretch=5.3, wrap=16),
    Case("conv3x3-w3", "uno", "code", goal=6.3, stretch=5.3, largest=3),
    Case("conv3x3", "uno", "code"),
    Case("conv3x3-w3", "uno", "dense8", largest=3),
    Case("conv3x3", "uno", "dense8"),
    Case("conv3x3-relu-wrap16", "cpm", "code", goal=65.0, stretch=58.0, bounds=RELU, wrap=16),
    Case("conv3x3-relu-w3", "cpm", "code", goal=65.0, stretch=58.0, bounds=RELU, largest=3),
    Case("conv3x3-wrap16", "cpm", "code", goal=65.0, stretch=58.0, wrap=16),
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
def test_convolution(
    cycles: Cycles, meets: Callable[[Goal], None], case: Case, tmp_path: Path
) -> None:
    model = case.model()
    encodings = {"conv": case.encoding}
    measured = cycles.measure(model, case.target, inputs=model.inputs, encodings=encodings)
    measured.check()
    layer = measured.records[1]
    assert layer.cycles_per_mac is not None
    workload = f"{case.name} on {case.target}, {case.encoding}"
    if case.goal is None:
        cycles.note(f"{workload}: {layer.cycles_per_mac:.2f} cycles per MAC")
        return
    isa = find_target(case.target).isa
    beside = _beside(case, model, tmp_path)
    per_mac = layer.cycles_per_mac
    meets(Goal(isa, workload, "cycles a MAC", per_mac, case.goal, case.stretch, beside))


def _beside(case: Case, model: Model, folder: Path) -> dict[str, float]:
    """On AVR, what plain C takes; on Z80, what an MSX does."""
    if find_target(case.target).isa == "z80":
        program = compile_graph(model.graph, find_target("msx"), {"conv": case.encoding})
        results = list(Runner(program).infer_all(model.inputs))
        return {
            "MSX timing": float(np.mean([r.layer_cycles["conv"] for r in results])) / _macs(case)
        }
    return {"plain C": _plain_c(case, model, folder)} if plain_c.compiler() else {}


def _plain_c(case: Case, model: Model, folder: Path) -> float:
    """Cycles per MAC of plain C with sums of as many bits, whose every output is checked."""
    node = case.node
    assert isinstance(node, Conv2d)
    bits = case.wrap or 24
    header = plain_c.convolution_header(node, bits)
    compiled = plain_c.compile_layer("conv3x3", header, folder, case.target)
    taken = []
    for x, want in zip(model.inputs, run(model.graph, model.inputs)["y"], strict=True):
        data, spent = compiled.run(INT8.pack(x), want.size)
        np.testing.assert_array_equal(INT8.unpack(data, want.size), want.ravel())
        taken.append(spent)
    return float(np.mean(taken)) / _macs(case)


def _macs(case: Case) -> int:
    return case.node.macs
