"""Golden listings of a small network of every op; see `test_golden`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import DENSE8, requantization

from kernels.compile import decide
from kernels.dtypes import INT8, INT16
from kernels.ir import Graph, Range, Tensor
from kernels.ops.add import Add
from kernels.ops.avg_pool import AvgPool
from kernels.ops.conv2d import Conv2d
from kernels.ops.flatten import Flatten
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.max_pool import MaxPool
from kernels.ops.relu import Relu
from kernels.ops.table_activation import TableActivation
from kernels.passes.emission import emit_layers
from kernels.passes.layout import lay_out, startup_of
from kernels.quant import Requantization, Rounding
from kernels.target import find_target

GOLDEN = Path(__file__).parent / "golden_networks"
TARGETS = {"uno": False, "mega": True, "attiny85": False, "cpm": False}  # whether constants are far
SHAPE = (2, 2, 2)


def how(multiplier: int = 1, shift: int = 0, low: int = INT8.low) -> Requantization:
    return requantization(multiplier, shift, rounding=Rounding.HALF_UP, low=low, high=INT8.high)


def network() -> Graph:
    """Convolutions as code, depthwise and gathered; then one of each other op."""
    x = Tensor("x", SHAPE, INT8, bounds=Range(0, 100))
    tensors = {name: Tensor(name, SHAPE, INT8) for name in "abcdefgh"}
    bias = np.array([5, -6], np.int32)

    def conv(name: str, source: Tensor, output: Tensor, *weights: int, groups: int = 1) -> Conv2d:
        kernel = np.array(weights, np.int8).reshape(2, 2 // groups, -1, 1)
        pad = (kernel.shape[2] // 2, 0)
        scaled = how(77, 9, low=0)
        return Conv2d(
            name, source, output, kernel, bias, scaled, wrap=16, groups=groups, padding=pad
        )

    mean = requantization(3, 3, low=INT16.low)
    nodes = (
        conv("code", x, tensors["a"], 3, -3, 1, 0, 0, 7, -7, 2, 9, 9, 0, -1),
        conv("depthwise", tensors["a"], tensors["b"], 1, -2, 3, 4, 5, -6, groups=2),
        conv("gathered", tensors["b"], tensors["c"], 1, 2, -1, -2),
        Relu("relu", tensors["c"], tensors["d"], 3, 90),
        Add("add", tensors["d"], tensors["b"], tensors["e"], (30, 200), how(shift=7)),
        TableActivation("table", tensors["e"], tensors["f"], np.arange(256) // 2),
        MaxPool("max", tensors["f"], Tensor("g", (3, 2, 2), INT8), (2, 1), (1, 1), (1, 0)),
        AvgPool(
            "mean",
            Tensor("g", (3, 2, 2), INT8),
            Tensor("h", (1, 2, 2), INT16),
            (3, 1),
            requantization=mean,
        ),
        GlobalAvgPool(
            "whole", Tensor("h", (1, 2, 2), INT16), Tensor("i", (2,), INT16), requantization=mean
        ),
        Flatten("flat", Tensor("i", (2,), INT16), Tensor("j", (2,), INT16)),
    )
    return Graph("net", x, nodes, ("j",))


@pytest.mark.parametrize("target", TARGETS)
def test_listing(target: str, check_golden: Callable[[Path, str], None]) -> None:
    graph, machine = network(), find_target(target)
    choices = {"code": "code", "depthwise": DENSE8, "gathered": DENSE8}
    plan = decide(graph, machine, choices)
    emission = emit_layers(graph, machine, startup_of(machine).ISA, plan, far=TARGETS[target])
    rows = []
    for piece in lay_out(emission, machine):
        part = piece.part
        if piece.symbol is None:  # tables are tested by what is looked up in them
            rows.append(f"; {part.name} ({part.kind}) at {part.address:#06x}, {part.size} bytes\n")
            rows.append(piece.text.listing())
    check_golden(GOLDEN / f"{target}.lst", "".join(rows))


def test_no_listing_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{target}.lst" for target in TARGETS}
