"""Cycles in our emulators beside those in independent ones: avr8js for AVR, z80ex for Z80.

What is not installed is not compared, and its rows say so; `./dev test` installs both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from harness.pytest_plugin import Cycles
from harness.run import Runner
from kernels.compile import compile_graph
from kernels.errors import DoesNotFit
from kernels.ir import Graph
from kernels.target import find_target
from models import load

sys.path.append(str(Path(__file__).parent.parent / "tests" / "second_opinion"))
import avr8js
import z80ex
from routine import NotInstalled, ProgramComparer, SecondEmulator
from synthetic_tinychat import QUERIES, synthetic_tinychat

INPUTS = 3
Workload = tuple[str, Graph, NDArray[np.integer]]


@pytest.fixture(scope="module")
def seconds() -> Iterator[Mapping[str, SecondEmulator | NotInstalled]]:
    """The second emulator of each instruction set, or why there is none."""
    found: dict[str, SecondEmulator | NotInstalled] = {}
    with ExitStack() as running:
        starts: Mapping[str, Callable[[], AbstractContextManager[SecondEmulator]]]
        starts = {"avr": avr8js.start, "z80": z80ex.load}
        for isa, start in starts.items():
            try:
                found[isa] = running.enter_context(start())
            except NotInstalled as missing:
                found[isa] = missing
        yield found


@pytest.fixture
def workloads(request: pytest.FixtureRequest) -> list[Workload]:
    """Digits, and tinychat; without its data, a network of its shape with random weights."""
    digits = load("digits-int8")
    found: list[Workload] = [("digits-int8", digits.graph, digits.inputs[:INPUTS])]
    if request.config.getoption("--z80ai") or os.environ.get("TRUECYCLE_Z80AI"):
        chat = request.getfixturevalue("load_model")("tinychat")
        found.append(("tinychat", chat.graph, chat.inputs[:INPUTS]))
    else:
        synthetic = synthetic_tinychat(0, (256, 192, 128))
        inputs = np.concatenate([reply.inputs for reply in synthetic.replies(QUERIES)])
        found.append(("tinychat's shape, random weights", synthetic.graph, inputs[:INPUTS]))
    return found


@pytest.mark.parametrize("target", ["uno", "mega", "cpm"])
def test_second_opinion(
    cycles: Cycles,
    seconds: Mapping[str, SecondEmulator | NotInstalled],
    workloads: list[Workload],
    target: str,
) -> None:
    second = seconds[find_target(target).isa]
    rows = [row for workload in workloads for row in _rows(*workload, target, second)]
    cycles.note(_render(target, second, rows))
    assert "NO" not in {equal for *_, equal in rows}


def _rows(
    name: str,
    graph: Graph,
    inputs: NDArray[np.integer],
    target: str,
    second: SecondEmulator | NotInstalled,
) -> list[tuple[str, str, str, str, str]]:
    """A row for each input."""
    try:
        program = compile_graph(graph, find_target(target))
    except DoesNotFit:
        return [(name, "", "does not fit", "", "")]
    if isinstance(second, NotInstalled):
        runner = Runner(program)
        counts = [runner.infer(x).cycles for x in inputs]
        return [(name, str(n), f"{c:,}", "not compared", str(second)) for n, c in enumerate(counts)]
    comparer = ProgramComparer(program, second)
    rows = []
    for number, x in enumerate(inputs):
        found = comparer.infer(x, seed=number)
        equal = "NO" if found.differences else "yes"
        rows.append((name, str(number), f"{found.ours.cycles:,}", f"{found.other.cycles:,}", equal))
    return rows


def _render(
    target: str,
    second: SecondEmulator | NotInstalled,
    rows: list[tuple[str, str, str, str, str]],
) -> str:
    other = "other" if isinstance(second, NotInstalled) else second.name
    table = Table(title=f"second opinion, {target}: cycles, and all of memory afterwards")
    for heading in ("model", "input", "cycles, ours", f"cycles, {other}", "equal"):
        table.add_column(heading, justify="right" if "cycles" in heading else "left")
    for row in rows:
        table.add_row(*row)
    out = StringIO()
    Console(file=out, width=110).print(table)
    return out.getvalue()
