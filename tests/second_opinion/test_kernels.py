"""Compiled graphs in both emulators: equal cycles, equal memory, and the reference's outputs.

Encodings, targets and kernels are those of the registries; what is new there is covered, or
`test_every_kernel_is_covered` fails.
"""

from collections.abc import Collection, Mapping
from functools import cache

import numpy as np
import pytest
from random_graphs import compile_all, random_inputs, random_program, random_weights, takes
from random_networks import random_network_program
from routine import ProgramComparer, SecondEmulator

from kernels import emit, reference
from kernels.dtypes import DTYPES, DType
from kernels.encodings import encodings
from kernels.image import Program
from kernels.ir import Graph, Range, Tensor
from kernels.ops.conv2d import Conv2d
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.target import Target, find_target, targets

GRAPHS = 6  # of each combination
BIAS = np.zeros(240, np.int32)
COMBINATIONS = [
    (target.name, encoding, dtype)
    for target in targets().values()
    if target.banks is None  # z80ex is given 64 KiB that do not change behind the program's back
    for encoding in encodings()
    for dtype, kind in DTYPES.items()
    if takes(target, encoding, kind)
]
CODE = "code"  # has kernels for convolutions alone


def _of_conv2d(target: Target) -> Collection[str | None]:
    return emit.kernels_for(target.isa, Conv2d)


NETWORKS = 3  # of each target, encoding and number of axes
# Whose code for three products is beyond the 4 KiB that avr8js runs without wrapping around.
_LARGE = ("straight-line", "trits", "paged-trits", "twin-trits")
TOO_LARGE = {("attiny85", name) for name in _LARGE}
_OF_BYTES = {(target, encoding) for target, encoding, d in COMBINATIONS if not DTYPES[d].packed}
_OF_CODE = {(name, CODE) for name, _ in _OF_BYTES if CODE in _of_conv2d(find_target(name))}
COMBINED = sorted((_OF_BYTES | _OF_CODE) - TOO_LARGE)


@cache
def programs(target: str, encoding: str, dtype: str, count: int = GRAPHS) -> list[Program]:
    rng = np.random.default_rng(COMBINATIONS.index((target, encoding, dtype)))
    return [random_program(find_target(target), encoding, DTYPES[dtype], rng) for _ in range(count)]


def check(program: Program, inputs: np.ndarray, second: SecondEmulator) -> None:
    comparer = ProgramComparer(program, second)
    expected = reference.run(program.graph, inputs)
    for number, x in enumerate(inputs):
        compared = comparer.infer(x, seed=number)
        assert not compared.differences
        for name in program.graph.outputs:
            for outcome in (compared.ours, compared.other):
                assert np.array_equal(comparer.output(outcome, name), expected[name][number]), name


@pytest.mark.parametrize(("target", "encoding", "dtype"), COMBINATIONS)
def test_random_graphs(
    seconds: Mapping[str, SecondEmulator], target: str, encoding: str, dtype: str
) -> None:
    for number, program in enumerate(programs(target, encoding, dtype)):
        inputs = random_inputs(program.graph, np.random.default_rng(number))
        check(program, inputs, seconds[program.target.isa])


@cache
def network(target: str, encoding: str, axes: int, seed: int) -> Program:
    rng = np.random.default_rng([COMBINED.index((target, encoding)), axes, seed])
    return random_network_program(find_target(target), encoding, axes, rng)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize(("target", "encoding"), COMBINED)
def test_random_networks(
    seconds: Mapping[str, SecondEmulator], target: str, encoding: str, axes: int
) -> None:
    for seed in range(NETWORKS):
        program = network(target, encoding, axes, seed)
        inputs = random_inputs(program.graph, np.random.default_rng(seed))
        check(program, inputs, seconds[program.target.isa])


def test_every_kernel_is_covered() -> None:
    """Each registered (instruction set, op, encoding) is in one of the graphs above."""
    graphs = [p for combination in COMBINATIONS for p in programs(*combination, count=1)]
    networks = [
        network(*combination, axes, seed)
        for combination in COMBINED
        for axes in (1, 2)
        for seed in range(NETWORKS)
    ]
    covered = {
        (program.target.isa, type(node), program.encodings.get(node.name))
        for program in graphs + networks
        for node in program.graph.nodes
    }
    served = {(find_target(target).isa, encoding) for target, encoding in COMBINED}
    gathered = {
        (isa, op, encoding)
        for isa, op in emit._LIKE
        for encoding in emit.kernels_for(isa, op)
        if (isa, encoding) in served
    }
    assert covered == set(emit._EMITTERS) | gathered


@pytest.mark.parametrize(
    ("encoding", "dtype"), [rest for target, *rest in COMBINATIONS if target == "mega"]
)
def test_image_beyond_64_kib(
    seconds: Mapping[str, SecondEmulator], encoding: str, dtype: str
) -> None:
    """Constants that LPM does not reach, on a part whose PC has 22 bits."""
    program = far_program(encoding, DTYPES[dtype])
    check(program, random_inputs(program.graph, np.random.default_rng(1))[:1], seconds["avr"])


def far_program(encoding: str, dtype: DType) -> Program:
    """As many layers in a row as it takes to pass 64 KiB."""
    rng = np.random.default_rng(0)
    how = Requantization(np.array([3]), 8, Rounding.HALF_UP, 0, dtype.low, dtype.high)
    x = source = Tensor("x", (240,), dtype, bounds=Range(0, min(100, dtype.high)))
    nodes: list[Linear] = []
    for number in range(20):
        weights = random_weights(encoding, (240, 240), rng)
        while not weights.any():  # all layers below would be dead
            weights = random_weights(encoding, (240, 240), rng)
        output = Tensor(f"y{number}", (240,), dtype)
        nodes.append(Linear(f"fc{number}", source, output, weights, BIAS, how, wrap=16))
        source = output
        graph = Graph("far", x, tuple(nodes), (source.name,))
        program = compile_all(graph, find_target("mega"), encoding)
        if program.flash > 0x10000:
            return program
    raise AssertionError(f"no image above 64 KiB with {encoding}")
