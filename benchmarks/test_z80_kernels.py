"""Z80 kernels on a layer of 256 inputs and 64 outputs: T-states per multiply-accumulate.

A whole layer counts: inputs prepared, sums taken and requantized. Weights are evenly distributed
over what the row says, and so are inputs. A table shows each kernel where interrupts must be served
(cpm-ei; some kernels do not work there), and with the wait states of an MSX, and what it takes on
cpm, input and output of the layer included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from goals import Goal
from numpy.typing import NDArray

from harness.pytest_plugin import Cycles
from harness.run import Runner
from kernels.binary import sign_test
from kernels.compile import compile_graph
from kernels.dtypes import BIT, INT16, UINT8, DType
from kernels.emit import kernels_for
from kernels.image import Program
from kernels.ir import Graph, Range, Tensor
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.reference import run
from kernels.target import find_target
from models import load

_INPUTS, _OUTPUTS = 256, 64
_TARGETS = ("cpm", "cpm-ei", "msx")


@dataclass(frozen=True)
class Row:
    """One kernel. T-states per MAC on cpm: goals are those wanted, and beyond that; held: reached.

    bits: of the sums. output: numbers, which are the sums, or bits, their signs.
    """

    name: str
    goals: tuple[float, float] | None
    held: float
    encoding: str
    weights: tuple[int, ...]
    x: Range
    bits: int = 16
    outputs: int = _OUTPUTS
    source: DType = UINT8
    output: DType = INT16

    def graph(self) -> Graph:
        """The layer."""
        rng = np.random.default_rng(0)
        weights = rng.choice(np.array(self.weights, np.int8), (self.outputs, _INPUTS))
        x = Tensor("x", (_INPUTS,), self.source, bounds=self.x)
        how = Requantization(np.array([1]), 0, Rounding.FLOOR, 0, INT16.low, INT16.high)
        how, wrap = (sign_test(), None) if self.output == BIT else (how, self.bits)
        bias = np.zeros(self.outputs, np.int32)
        output = Tensor("y", (self.outputs,), self.output, zero_point=how.zero_point)
        layer = Linear("fc", x, output, weights, bias, how, wrap=wrap)
        return Graph("layer", x, (layer,), ("y",))

    def inputs(self) -> NDArray[np.int64]:
        """One input."""
        rng = np.random.default_rng(1)
        return rng.integers(self.x.low, self.x.high, (1, _INPUTS), endpoint=True)


_BYTE, _ALL, _TRITS, _SIGNS = Range(0, 255), tuple(range(-128, 128)), (-1, 0, 1), (-1, 1)
_ROWS = (
    Row("int8, 7-bit operands", (55, 53), 54.1, "dense8", tuple(range(-64, 64)), Range(0, 127)),
    Row("the same, 24 bits", None, 62.7, "dense8", tuple(range(-64, 64)), Range(0, 127), 24),
    Row("int8", (75, 72), 69.0, "dense8", _ALL, _BYTE),
    Row("the same, 24 bits", None, 79.4, "dense8", _ALL, _BYTE, 24),
    Row("4 bits", (30, 27), 29.9, "value-lists", tuple(range(-8, 8)), _BYTE),
    Row("3 bits", None, 18.8, "pattern-lists", tuple(range(-4, 4)), _BYTE),
    Row("2 bits", None, 14.1, "pattern-lists", tuple(range(-2, 2)), _BYTE),
    Row("ternary", (15, 13), 11.0, "pattern-lists", _TRITS, _BYTE),
    Row("the same, 24 bits", None, 13.0, "pattern-lists", _TRITS, _BYTE, 24),
    Row("ternary, each row alone", None, 20.5, "value-lists", _TRITS, _BYTE),
    Row("binary x int8", (11, 10), 8.2, "pattern-lists", _SIGNS, _BYTE),
    Row("the same, 24 bits", None, 9.2, "pattern-lists", _SIGNS, _BYTE, 24),
    Row("binary x int8, 256 outputs", (11, 10), 7.9, "pattern-lists", _SIGNS, _BYTE, outputs=256),
    Row("binary x int8, tables", None, 14.8, "group-sums", _SIGNS, _BYTE),
    Row("the same, 256 outputs", None, 10.5, "group-sums", _SIGNS, _BYTE, outputs=256),
    Row("xnor", (5, 4.8), 4.3, "xnor", _SIGNS, Range(0, 1), source=BIT),
    Row("xnor, 256 outputs", (5, 4.8), 4.2, "xnor", _SIGNS, Range(0, 1), outputs=256, source=BIT),
    Row("xnor, bits to bits", None, 4.1, "xnor", _SIGNS, Range(0, 1), source=BIT, output=BIT),
    Row("4 bits, small", None, 135.8, "packed4", tuple(range(-8, 8)), _BYTE),
    Row("2 bits, small", None, 127.1, "packed2", tuple(range(-2, 2)), _BYTE),
    Row("1 bit, small", None, 125.2, "packed1", _SIGNS, _BYTE),
    Row("bitmap, small", None, 147.0, "bitmap", (-1, 0, 1), _BYTE),
)


def _has_kernel(row: Row, target: str) -> bool:
    machine = find_target(target)
    kernel = kernels_for(machine.isa, Linear)[row.encoding]
    return kernel.refusal(machine) is None


def _program(row: Row, target: str) -> Program:
    return compile_graph(row.graph(), find_target(target), {"fc": row.encoding})


def _per_mac(row: Row, target: str) -> float:
    """T-states of a MAC, the outputs being those of the reference."""
    program, x = _program(row, target), row.inputs()
    result = Runner(program).infer(x[0])
    assert np.array_equal(result.outputs["y"], run(program.graph, x)["y"][0])
    return result.layer_cycles["fc"] / (_INPUTS * row.outputs)


def _line(row: Row, measured: Mapping[str, float]) -> str:
    """A row of the table."""
    figures = "".join(
        f"{measured[target]:9.2f}" if target in measured else f"{'-':>9}" for target in _TARGETS
    )
    program = _program(row, "cpm")
    figures += f"{program.flash:9,}{program.arena.size:8,}"
    return f"  {row.name:28} {row.encoding:13}{figures}"


def test_dense_kernels(cycles: Cycles) -> None:
    columns = "".join(f"{target:>9}" for target in _TARGETS) + f"{'image':>9}{'SRAM':>8}"
    lines = [f"  {'kernel':28} {'encoding':13}{columns}"]
    for row in _ROWS:
        measured = {t: _per_mac(row, t) for t in _TARGETS if _has_kernel(row, t)}
        lines.append(_line(row, measured))
        assert all(measured["cpm"] < measured[target] for target in measured if target != "cpm")
    size = f"{_INPUTS} inputs, {_OUTPUTS} outputs; bytes of image and SRAM on cpm"
    cycles.note("\n".join([f"Z80, T-states per MAC, {size}:", *lines]))


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: f"{row.encoding}: {row.name}")
def test_kernels_do_not_get_slower(meets: Callable[[Goal], None], row: Row) -> None:
    """What is measured today, rounded up, is the most that it may ever take."""
    measured = _per_mac(row, "cpm")
    if row.goals:
        workload = f"dense 256 -> {row.outputs}, {row.name}, {row.encoding}"
        beside = {"MSX timing": _per_mac(row, "msx")}
        meets(Goal("z80", workload, "T a MAC", measured, *row.goals, beside))
    assert measured <= row.held


def test_digits(meets: Callable[[Goal], None]) -> None:
    """A whole inference of digits-int8, argmax included, over the test split."""
    model = load("digits-int8")
    want = run(model.graph, model.inputs)["digit"].ravel()
    means = {}
    for target in ("cpm", "msx"):
        results = list(
            Runner(compile_graph(model.graph, find_target(target))).infer_all(model.inputs)
        )
        np.testing.assert_array_equal([r.outputs["digit"][0] for r in results], want)
        means[target] = float(np.mean([r.cycles for r in results]))
    beside = {"MSX timing": means["msx"]}
    meets(Goal("z80", "digits-int8", "T, mean", means["cpm"], 160_000, 150_000, beside))
