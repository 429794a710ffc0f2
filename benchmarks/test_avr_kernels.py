"""Dense layers on an UNO, 256 inputs to 64 outputs: cycles a product, beside plain C for the same.

The cycles are those of the whole layer: requantization and all that is done once are in them. Every
result, the C code's as well, is compared with the reference.
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
from kernels.binary import binary_linear, signs
from kernels.compile import compile_graph
from kernels.dtypes import BIT, INT8, INT16, UINT8, DType
from kernels.encodings import bitmap, dense8, group_sums, packed1, packed2, packed4, xnor
from kernels.ir import Graph, Range, Tensor
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.reference import run
from kernels.target import find_target
from models import load

INPUTS, OUTPUTS, SHIFT = 256, 64, 8
SAMPLES = 5


@dataclass(frozen=True)
class Row:
    """One layer. goal, stretch: cycles a product, wanted and beyond that; bounds: of the inputs.

    bits: that sums are proven to fit.
    source: the C file; packed: how many weights it has to a byte, and their offset.
    """

    name: str
    encoding: str
    weights: range | tuple[int, ...]
    goal: float
    source: str
    stretch: float | None = None
    dtype: DType = UINT8
    bounds: Range | None = None
    bits: int = 24
    packed: tuple[int, int] = (1, 0)

    def layer(self) -> Linear:
        """The layer, of random weights and biases."""
        rng = np.random.default_rng(0)
        weights = rng.choice(np.array(self.weights, np.int8), (OUTPUTS, INPUTS))
        bias = rng.integers(-99, 99, OUTPUTS)
        if self.dtype == BIT:
            return binary_linear("fc", signs("x", INPUTS), weights, bias)
        x = Tensor("x", (INPUTS,), self.dtype, bounds=self.bounds)
        how = Requantization(np.array([1]), SHIFT, Rounding.FLOOR, 0, INT16.low, INT16.high)
        return Linear("fc", x, Tensor("y", (OUTPUTS,), INT16), weights, bias.astype(np.int32), how)


BINARY, TERNARY = (-1, 1), (-1, 0, 0, 0, 0, 0, 1)
ROWS = [
    Row("int8 x int8", dense8.NAME, range(-1, 2), 7.4, "dense8", 7.2, INT8, bits=16),
    Row("int8 x uint8", dense8.NAME, range(-128, 128), 8.7, "dense8", 8.3),
    Row("int8 x int8", dense8.NAME, range(-128, 128), 8.7, "dense8", 8.3, INT8),
    Row("4 bits x uint8", packed4.NAME, range(-8, 8), 7.9, "packed4", 6.5, packed=(2, 8)),
    Row(
        "4 bits x 5 bits",
        packed4.NAME,
        range(-8, 8),
        7.9,
        "packed4",
        6.5,
        bounds=Range(0, 31),
        bits=16,
        packed=(2, 8),
    ),
    Row("2 bits x uint8", packed2.NAME, range(-2, 2), 7.9, "packed2", packed=(4, 2)),
    Row("1 bit x uint8, sums", group_sums.NAME, BINARY, 4.1, "packed1", 3.5, packed=(8, 0)),
    Row("1 bit x uint8, tests", packed1.NAME, BINARY, 5.45, "packed1", packed=(8, 0)),
    Row("1 bit x 1 bit", xnor.NAME, BINARY, 1.0, "xnor", 0.95, BIT, bits=16, packed=(8, 0)),
    Row("ternary x uint8", bitmap.NAME, TERNARY, 7.0, "packed2", bits=16, packed=(4, 2)),
]


def inputs_of(graph: Graph) -> NDArray[np.int64]:
    """Random inputs, and both ends of their range."""
    rng, ends = np.random.default_rng(1), graph.input.range
    random = rng.integers(ends.low, ends.high, (SAMPLES, INPUTS), endpoint=True)
    return np.vstack([random, np.full(INPUTS, ends.low), np.full(INPUTS, ends.high)])


def measure_kernel(row: Row, graph: Graph) -> tuple[float, int]:
    """Cycles a product, and bytes of flash of the layer; every output is checked."""
    program = compile_graph(graph, find_target("uno"), {"fc": row.encoding})
    runner, inputs = Runner(program), inputs_of(graph)
    want = run(graph, inputs)[graph.outputs[0]]
    results = [runner.infer(x) for x in inputs]
    for result, expected in zip(results, want, strict=True):
        np.testing.assert_array_equal(result.outputs[graph.outputs[0]], expected)
    cycles = np.mean([result.layer_cycles["fc"] for result in results[:SAMPLES]])
    return float(cycles) / (INPUTS * OUTPUTS), program.image.size_of("fc")


def c_weights(row: Row, weights: NDArray[np.int8]) -> NDArray[np.integer]:
    """As the C source has them: row by row, some to a byte, the first in the lowest bits."""
    count, offset = row.packed
    if count == 1:
        return weights
    fields = (weights > 0 if count == 8 else weights + offset).astype(np.int64)
    places = (8 // count) * np.arange(count)
    return (fields.reshape(OUTPUTS, -1, count) << places).sum(axis=2).astype(np.uint8)


def measure_c(row: Row, graph: Graph, folder: Path) -> float:
    """Cycles a product of plain C, whose every output is checked."""
    (layer,) = graph.nodes
    assert isinstance(layer, Linear)
    kinds = {UINT8: "uint8_t", INT8: "int8_t", BIT: "uint8_t"}
    types = {
        "ACC": "int16_t" if row.bits == 16 else "__int24",
        "INPUT": kinds[row.dtype],
        "OUTPUT": "uint8_t" if row.dtype == BIT else "int16_t",
    }
    sums = layer.weights.astype(np.int64).sum(axis=1)
    header = plain_c.layer_header(
        c_weights(row, layer.weights),
        layer.bias - sums if row.dtype == BIT else layer.bias,
        types,
        shape=(OUTPUTS, INPUTS),
        shift=SHIFT,
        source=row.dtype,
    )
    compiled, inputs = plain_c.compile_layer(row.source, header, folder), inputs_of(graph)
    output = layer.output
    cycles = []
    for x, want in zip(inputs, run(graph, inputs)[output.name], strict=True):
        data, taken = compiled.run(row.dtype.pack(x), output.size)
        np.testing.assert_array_equal(output.dtype.unpack(data, output.count), want)
        cycles.append(taken)
    return float(np.mean(cycles[:SAMPLES])) / (INPUTS * OUTPUTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}, {row.encoding}, {row.bits}")
def test_layer(cycles: Cycles, meets: Callable[[Goal], None], row: Row, tmp_path: Path) -> None:
    layer = row.layer()
    graph = Graph("layer", layer.input, (layer,), (layer.output.name,))
    assert layer.accumulator_bits(layer.input.range) == row.bits
    measured, flash = measure_kernel(row, graph)
    beside = {"plain C": measure_c(row, graph, tmp_path)} if plain_c.compiler() else {}
    workload = f"dense 256 -> 64, {row.name}, {row.encoding}, {row.bits} bits"
    cycles.note(f"{workload}: {flash:,} bytes")
    meets(Goal("avr", workload, "cycles a MAC", measured, row.goal, row.stretch, beside))


def test_c_compiler(cycles: Cycles) -> None:
    """Say what the plain C was compiled by, or why there is none."""
    found = plain_c.compiler()
    cycles.note(f"plain C: {plain_c.version() if found else plain_c.MISSING}")
    assert found is None or Path(found).exists()


def test_digits(cycles: Cycles, meets: Callable[[Goal], None], tmp_path: Path) -> None:
    """A whole inference of digits-int8, argmax included, over the test split."""
    model = load("digits-int8")
    runner = Runner(compile_graph(model.graph, find_target("uno")))
    results = [runner.infer(x) for x in model.inputs]
    counts, digits = [r.cycles for r in results], [r.outputs["digit"][0] for r in results]
    want = run(model.graph, model.inputs)["digit"].ravel()
    np.testing.assert_array_equal(digits, want)
    beside = {}
    if plain_c.compiler():
        layers = [node for node in model.graph.nodes if isinstance(node, Linear)]
        compiled = plain_c.compile_layer("mlp", plain_c.network_header(layers), tmp_path)
        runs = [compiled.run(UINT8.pack(x), 1) for x in model.inputs]
        np.testing.assert_array_equal([data[0] for data, _ in runs], want)
        beside["plain C"] = float(np.mean([taken for _, taken in runs]))
    cycles.note(
        f"digits-int8 on uno: {min(counts):,} / {np.mean(counts):,.0f} / {max(counts):,} cycles "
        f"an inference (min / mean / max)"
    )
    mean = float(np.mean(counts))
    meets(Goal("avr", "digits-int8 on uno", "cycles, mean", mean, 24_000, 20_000, beside))


@pytest.mark.parametrize("weights", [BINARY, TERNARY], ids=["binary", "ternary"])
def test_without_mul(
    cycles: Cycles, meets: Callable[[Goal], None], weights: tuple[int, ...]
) -> None:
    """A network of 64-48-10 on an ATtiny85, and the same on an UNO."""
    rng = np.random.default_rng(0)
    x = Tensor("x", (64,), UINT8)
    nodes: list[Linear] = []
    for name, outputs in (("one", 48), ("two", 10)):
        source = nodes[-1].output if nodes else x
        how = Requantization(np.array([1]), 6, Rounding.FLOOR, 0, 0, 255)
        matrix = rng.choice(np.array(weights, np.int8), (outputs, source.count))
        bias = rng.integers(0, 99, outputs).astype(np.int32)
        output = Tensor(f"{name}_out", (outputs,), UINT8)
        nodes.append(Linear(name, source, output, matrix, bias, how))
    graph = Graph("small", x, tuple(nodes), ("two_out",))
    inputs = rng.integers(0, 256, (SAMPLES, 64))
    want = run(graph, inputs)["two_out"]
    kind = "ternary" if 0 in weights else "binary"
    taken = {}
    for target in ("attiny85", "uno"):
        program = compile_graph(graph, find_target(target))
        results = [Runner(program).infer(x) for x in inputs]
        np.testing.assert_array_equal([r.outputs["two_out"] for r in results], want)
        taken[target] = float(np.mean([r.cycles for r in results]))
        cycles.note(
            f"{kind} 64-48-10 on {target}: "
            f"{taken[target]:,.0f} cycles ({', '.join(program.encodings.values())}), "
            f"{program.flash:,} bytes of flash"
        )
        assert program.flash <= 6 * 1024
    ratio = taken["attiny85"] / taken["uno"]
    meets(Goal("avr", f"{kind} 64-48-10 on attiny85", "of the UNO's cycles", ratio, 1.3))
