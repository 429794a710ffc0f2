"""Whole models in both emulators: digits as shipped, and tinychat's shape with random weights."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from routine import ProgramComparer, SecondEmulator
from synthetic_tinychat import QUERIES, synthetic_tinychat

from kernels import reference
from kernels.compile import compile_graph
from kernels.ir import Graph
from kernels.target import find_target
from models import load

INPUTS = 3


def check(
    graph: Graph, inputs: NDArray[np.integer], target: str, seconds: Mapping[str, SecondEmulator]
) -> None:
    program = compile_graph(graph, find_target(target))
    comparer = ProgramComparer(program, seconds[program.target.isa])
    expected = reference.run(graph, inputs)
    for number, x in enumerate(inputs):
        compared = comparer.infer(x, seed=number)
        assert not compared.differences
        for name in graph.outputs:
            assert np.array_equal(comparer.output(compared.other, name), expected[name][number])


@pytest.mark.parametrize("target", ["uno", "mega", "cpm"])
def test_digits(seconds: Mapping[str, SecondEmulator], target: str) -> None:
    digits = load("digits-int8")
    check(digits.graph, digits.inputs[:INPUTS], target, seconds)


@pytest.mark.parametrize(
    ("target", "hidden"),
    [("uno", (48, 32)), ("mega", (256, 192, 128)), ("cpm", (128, 96))],
)
def test_tinychat(
    seconds: Mapping[str, SecondEmulator], target: str, hidden: tuple[int, ...]
) -> None:
    chat = synthetic_tinychat(0, hidden)
    inputs = np.concatenate([reply.inputs for reply in chat.replies(QUERIES)])
    check(chat.graph, inputs[:INPUTS], target, seconds)
