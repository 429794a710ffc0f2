"""Kernels that write bits, and networks whose activations are bits, against the reference."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from builders import (
    TARGETS,
    argmax,
    compile_with,
    differences,
    graph_of,
    linear,
    reads,
    requantization,
    single,
    weights_of,
    with_kernels,
    writes,
)
from strategies import batch

from harness.run import Runner
from kernels.binary import binary_linear, over_signs, sign_test, signs
from kernels.compile import compile_graph
from kernels.dtypes import BIT, INT8, UINT8, DType
from kernels.encodings import xnor
from kernels.ir import Graph, Tensor
from kernels.quant import Requantization
from kernels.reference import run
from kernels.target import find_target

WRITERS = [case for case in with_kernels(*TARGETS, "attiny85") if BIT in writes(*case)]
XNOR = [target for target, encoding in with_kernels(*TARGETS, "attiny85") if encoding == xnor.NAME]
EVERY_WAY = (
    sign_test(),
    requantization(1, 3, zero_point=1, low=0, high=1),
    requantization([3, 1, 70] * 7, 9, zero_point=0, low=0, high=1),
    requantization(1, 0, zero_point=1, low=1, high=1),
)


@pytest.mark.parametrize(("target", "encoding"), WRITERS)
@pytest.mark.parametrize("how", EVERY_WAY)
def test_bits_of_any_requantization(target: str, encoding: str, how: Requantization) -> None:
    rng = np.random.default_rng(1)
    weights = rng.choice(weights_of(encoding), (21, 13))
    bias = rng.integers(-30, 30, 21)
    graph = single(weights, bias, how, source=reads(encoding)[0], dtype=BIT)
    assert differences(compile_with(graph, target, encoding), batch(graph, 1)) == []


@pytest.mark.parametrize(("target", "encoding"), WRITERS)
@pytest.mark.parametrize("outputs", [1, 7, 8, 9, 16, 257])
def test_numbers_of_bits(target: str, encoding: str, outputs: int) -> None:
    outputs = min(outputs, 65) if target == "attiny85" else outputs  # for its SRAM
    rng = np.random.default_rng(outputs)
    weights = rng.choice(weights_of(encoding), (outputs, 3))
    graph = single(weights, 0, sign_test(), source=reads(encoding)[0], dtype=BIT)
    program = compile_with(graph, target, encoding)
    assert differences(program, batch(graph, 1)) == []
    runner, output = Runner(program), program.tensors["fc_out"]
    runner.infer(np.zeros(3, np.int64))
    last = runner.emulator.read(output.address, BIT.bytes_for(outputs))[-1]
    assert last >> ((outputs - 1) % 8 + 1) == 0  # what is left of the last byte


@pytest.mark.parametrize("target", XNOR)
@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (1, 1),
        (7, 8),
        (8, 7),
        (160, 9),
        (161, 16),
        (254, 2),
        (256, 17),
        (320, 3),
        (321, 8),
        (500, 2),
    ],
)
@pytest.mark.parametrize("bias", ["none", "near", "beyond"])
def test_xnor_of_every_size(target: str, inputs: int, outputs: int, bias: str) -> None:
    """Bits compared in the last pass or behind it, with limits in and out of a byte."""
    rng = np.random.default_rng(inputs)
    reach = {"none": 0, "near": 9, "beyond": inputs + 3}[bias]
    biases = rng.choice([-reach, reach, 0], outputs)
    weights = rng.choice([-1, 1], (outputs, inputs))
    layer = binary_linear("fc", signs("x", inputs), weights, biases)
    graph = graph_of(layer, source=layer.input)
    agreeing = (weights[0] > 0).astype(np.int64)
    inputs_ = np.vstack([batch(graph, 1), agreeing, 1 - agreeing])
    assert differences(compile_with(graph, target, xnor.NAME), inputs_) == []


@pytest.mark.parametrize("target", XNOR)
@pytest.mark.parametrize("inputs", [254, 255, 256, 257])
def test_xnor_counts_at_their_ends(target: str, inputs: int) -> None:
    """All places agree, or none, or all but one; every limit near both ends."""
    outputs = 12
    biases = np.concatenate([inputs - np.arange(-1, 5), np.arange(-1, 5) - inputs])
    layer = binary_linear("fc", signs("x", inputs), np.ones((outputs, inputs)), biases)
    graph = graph_of(layer, source=layer.input)
    rows = np.array([[1] * (inputs - off) + [0] * off for off in (0, 1, 2, 3)])
    program = compile_with(graph, target, xnor.NAME)
    assert differences(program, np.vstack([rows, 1 - rows])) == []


@pytest.mark.parametrize("outputs", [1020, 1024, 1025])
def test_xnor_of_more_outputs_than_a_byte_counts_groups_of(outputs: int) -> None:
    rng = np.random.default_rng(outputs)
    weights, biases = rng.choice([-1, 1], (outputs, 9)), rng.integers(-5, 5, outputs)
    layer = binary_linear("fc", signs("x", 9), weights, biases)
    graph = graph_of(layer, source=layer.input)
    assert differences(compile_with(graph, "cpm", xnor.NAME), batch(graph, 1)) == []


@pytest.mark.parametrize("target", [t for t in XNOR if t != "attiny85"])
@pytest.mark.parametrize("wrap", [None, 16])
@pytest.mark.parametrize("of_signs", [True, False])
@pytest.mark.parametrize(("inputs", "outputs"), [(40, 258), (256, 12), (264, 12), (512, 12)])
def test_xnor_writes_numbers(
    target: str, wrap: int | None, inputs: int, outputs: int, *, of_signs: bool
) -> None:
    """With all places equal, or none, too; sums of bits are the outputs themselves."""
    rng = np.random.default_rng(3)
    weights = rng.choice([-1, 1], (outputs, inputs))
    weights[1:4] = weights[0]
    edge = (1 << 15) - inputs // 2 if wrap else 90
    bias = rng.choice([-edge, edge], outputs)
    source = signs("x", inputs) if of_signs else Tensor("x", (inputs,), BIT)
    layer = linear("fc", source, weights, bias, wrap=wrap)
    graph = graph_of(over_signs(layer) if of_signs else layer, source=source)
    equal = (weights[0] > 0).astype(np.int64)
    rows = np.vstack([batch(graph, 1), equal, 1 - equal])
    assert differences(compile_with(graph, target, xnor.NAME), rows) == []


@pytest.mark.parametrize("target", XNOR)
def test_xnor_signs_that_wrap(target: str) -> None:
    """A sum that passes the accumulator's end changes its sign, which no limit tells."""
    layer = binary_linear("fc", signs("x", 9), [[1] * 9, [-1] * 9], [0, 0])
    bias = np.array([-(1 << 15) + 1, (1 << 15) - 2], np.int32)
    layer = replace(layer, bias=bias, wrap=16)
    graph = graph_of(layer, source=layer.input)
    rows = np.tril(np.ones((10, 9), np.int64), -1)
    assert len(np.unique(run(graph, rows)[layer.output.name])) == 2
    assert differences(compile_with(graph, target, xnor.NAME), rows) == []


def network(weights: Sequence[int], source: Tensor, rng: np.random.Generator) -> Graph:
    """Numbers to bits, bits to bits, bits to classes."""
    hidden = 48
    first = rng.choice(np.array(weights), (hidden, source.count))
    one = linear("one", source, first, rng.integers(-9, 9, hidden), sign_test(), dtype=BIT)
    two = binary_linear("two", one.output, rng.choice([-1, 1], (hidden, hidden)), [0] * hidden)
    three = over_signs(linear("three", two.output, rng.choice([-1, 1], (10, hidden))))
    best = argmax(three.output)
    return graph_of(one, two, three, best, source=source, outputs=("three_out", "winner"))


@pytest.mark.parametrize("weights", [(-1, 1), (-1, 0, 0, 1)])
@pytest.mark.parametrize("dtype", [UINT8, INT8])
def test_networks_on_a_chip_without_mul(weights: Sequence[int], dtype: DType) -> None:
    """A binary and a ternary first layer: bit-exact, small, and as fast as where there is MUL."""
    rng = np.random.default_rng(len(weights))
    graph = network(weights, Tensor("x", (64,), dtype), rng)
    inputs = batch(graph, 2)
    programs = [compile_graph(graph, find_target(target)) for target in ("attiny85", "uno")]
    tiny, uno = programs
    assert tiny.encodings == uno.encodings
    assert tiny.flash <= 6 * 1024
    assert differences(tiny, inputs) == []
    for x in inputs:
        slow, fast = (Runner(program).infer(x).cycles for program in programs)
        assert slow <= 1.3 * fast
