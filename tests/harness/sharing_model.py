"""Two layers whose kernels call the same subroutine."""

from __future__ import annotations

import numpy as np

from harness.profile import ProfiledRun, profile
from harness.run import Runner
from kernels.compile import compile_graph
from kernels.dtypes import UINT8
from kernels.ir import Graph, Tensor
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.target import find_target

SHARING = {"uno": "trits", "cpm": "threaded-lists"}
"""By target, an encoding whose code is in part outside the layers."""


def sharing_graph() -> Graph:
    """12 inputs, 9 hidden units, 5 outputs; weights in -1..1."""
    x, hidden, y = (Tensor(n, (size,), UINT8) for n, size in (("x", 12), ("h", 9), ("y", 5)))
    return Graph("sharing", x, (_layer("one", x, hidden, 1), _layer("two", hidden, y, 2)), ("y",))


def _layer(name: str, source: Tensor, output: Tensor, seed: int) -> Linear:
    shape = (output.count, source.count)
    weights = np.random.default_rng(seed).integers(-1, 2, shape).astype(np.int8)
    same = Requantization(np.array([1]), 0, Rounding.FLOOR, 0, 0, 255)
    return Linear(name, source, output, weights, np.zeros(output.count, np.int32), same)


def profiled_sharing(target: str) -> ProfiledRun:
    """One inference on a target."""
    held = dict.fromkeys(("one", "two"), SHARING[target])
    runner = Runner(compile_graph(sharing_graph(), find_target(target), held))
    return profile(runner, np.full(12, 9))
