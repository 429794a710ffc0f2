"""Programs in emulators: results, cycles of layers, inputs refused, the place of a failure."""

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emulators.base import StopReason
from harness.errors import RunFailed
from harness.run import Runner, emulator_for
from kernels.compile import compile_graph
from kernels.dtypes import INT8, INT16, UINT8
from kernels.errors import GraphError
from kernels.image import Program
from kernels.ir import Graph, Range, Tensor
from kernels.ops.argmax import Argmax
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.reference import run
from kernels.target import find_target

TARGETS = ("uno", "mega", "cpm")
X = np.array([[-3, 4], [5, 0]])
STOPS = {
    "uno": (b"\x98\x95", StopReason.BREAK),
    "mega": (b"\x98\x95", StopReason.BREAK),
    "cpm": (b"\x76", StopReason.HALT),
}
FINAL_RETURN = {"uno": 4, "mega": 5, "cpm": 10}


def program_for(target: str) -> Program:
    """Four inputs, three units, their argmax."""
    x = Tensor("x", (2, 2), INT8, bounds=Range(-100, 100))
    weights = np.array([[1, 2, 1, 2], [-1, 0, 0, 1], [2, -2, 2, -2]], np.int8)
    how = Requantization(np.array([1]), 1, Rounding.FLOOR, 0, INT16.low, INT16.high)
    logits = Tensor("logits", (3,), INT16)
    fc1 = Linear("fc1", x, logits, weights, np.array([5, -6, 7], np.int32), how)
    best = Argmax("best", logits, Tensor("winner", (1,), UINT8))
    graph = Graph("net", x, (fc1, best), ("logits", "winner"))
    return compile_graph(graph, find_target(target))


def broken(program: Program, symbol: str, code: bytes) -> Program:
    """The program with other code at a symbol."""
    at = program.image.symbols[symbol] - program.image.origin
    data = program.image.data
    data = data[:at] + code + data[at + len(code) :]
    return replace(program, image=replace(program.image, data=data))


@pytest.mark.parametrize("target", TARGETS)
def test_outputs_are_those_of_the_reference(target: str) -> None:
    program = program_for(target)
    result = Runner(program).infer(X)
    want = run(program.graph, X[np.newaxis])
    assert list(result.outputs) == ["logits", "winner"]
    for name, values in result.outputs.items():
        assert values.dtype == np.int64
        assert values.tolist() == want[name][0].tolist()
    assert result.outputs["logits"].tolist() == [(5 + 10) // 2, (-6 + 3) // 2, (7 - 4) // 2]
    assert result.outputs["winner"].tolist() == [0]


@pytest.mark.parametrize("target", TARGETS)
def test_cycles_of_layers_and_the_return_add_up(target: str) -> None:
    result = Runner(program_for(target)).infer(X)
    assert list(result.layer_cycles) == ["fc1", "best"]
    assert all(cycles > 0 for cycles in result.layer_cycles.values())
    assert sum(result.layer_cycles.values()) + FINAL_RETURN[target] == result.cycles


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("limit", [1, 100, 200])
def test_a_limit_too_small_names_the_place(target: str, limit: int) -> None:
    program = program_for(target)
    with pytest.raises(RunFailed) as caught:
        Runner(program, limit=limit).infer(X)
    error = caught.value
    assert error.result.reason is StopReason.CYCLE_LIMIT
    assert error.where == program.image.place(error.result.pc)
    name, offset = error.where.split(" + ")
    assert name == "fc1" or name.startswith("fc1_b0_")
    addresses = {**program.image.symbols, "fc1": program.entry}
    assert addresses[name] + int(offset) == error.result.pc
    assert limit <= error.result.cycles < limit + 30
    assert str(error).startswith(f"net on {target}: cycle limit reached at {error.where} (pc 0x")
    assert str(error).endswith(f"after {error.result.cycles:,} cycles")


@pytest.mark.parametrize("target", TARGETS)
def test_the_limit_may_be_just_enough(target: str) -> None:
    program = program_for(target)
    cycles = Runner(program).infer(X).cycles
    assert Runner(program, limit=cycles).infer(X).cycles == cycles
    with pytest.raises(RunFailed, match="cycle limit reached"):
        Runner(program, limit=cycles - FINAL_RETURN[target]).infer(X)


@pytest.mark.parametrize("target", TARGETS)
def test_a_fault_is_named_after_the_code_it_lies_in(target: str) -> None:
    code, reason = STOPS[target]
    program = broken(program_for(target), "best_walk", code)
    with pytest.raises(RunFailed) as caught:
        Runner(program).infer(X)
    assert caught.value.result.reason is reason
    assert caught.value.where == "best_walk + 0"


def test_a_runner_works_on_after_a_failure() -> None:
    program = program_for("uno")
    want = Runner(program).infer(X)
    runner = Runner(program, limit=200)
    with pytest.raises(RunFailed):
        runner.infer(X)
    runner.limit = want.cycles
    assert runner.infer(X).outputs["logits"].tolist() == want.outputs["logits"].tolist()


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (np.array([[101, 0], [0, 0]]), "has 101 at (0, 0), outside [-100, 100]"),
        (np.array([[0, 0], [0, 300]]), "has 300 at (1, 1), outside [-100, 100]"),
        (np.array([0, 0, 0, 0]), "inputs have shape (1, 4)"),
        (np.zeros((2, 3), np.int64), "inputs have shape (1, 2, 3)"),
        (np.zeros((2, 2)), "inputs are float64"),
    ],
)
def test_inputs_that_break_the_promise_are_refused(x: NDArray[np.int64], problem: str) -> None:
    with pytest.raises(GraphError, match=re.escape(problem)):
        Runner(program_for("uno")).infer(x)


def test_each_target_has_its_emulator() -> None:
    names = {name: emulator_for(find_target(name)).name for name in TARGETS}
    assert names["uno"].startswith("atmega328p (simavr")
    assert names["mega"].startswith("atmega2560 (simavr")
    assert names["cpm"].startswith("z80 (z80 ")
