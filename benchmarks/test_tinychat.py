"""z80ai's tinychat: free-running replies to the first 100 unique queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import Measurement
from harness.pytest_plugin import Cycles
from harness.run import Runner
from kernels.compile import compile_graph
from kernels.target import find_target
from models.tinychat import load_tinychat


@pytest.mark.cycles(models=["tinychat"], targets=["mega", "cpm"])
def test_tinychat(measured: Measurement) -> None:
    measured.check()


@pytest.mark.parametrize("target", ["mega", "cpm"])
@pytest.mark.parametrize("model", ["tinychat"])
def test_replies(cycles: Cycles, tinychat_folder: Path, model: str, target: str) -> None:
    """The emulated network talks by itself: each character it gives is in its next input."""
    chat = load_tinychat(tinychat_folder)
    queries = chat.queries[:10]
    runner = Runner(compile_graph(chat.graph, find_target(target)))
    emulated = [reply.text for reply in chat.replies(queries, runner.predict)]
    lines = [f"  {query:24} {text}" for query, text in zip(queries, emulated, strict=True)]
    cycles.note("\n".join([f"{model} on {target}, the first 10 replies:", *lines]))
    assert emulated == [reply.text for reply in chat.replies(queries)]


@pytest.mark.cycles(models=["tinychat"], targets=["uno"])
def test_verdict(measured: Measurement) -> None:
    """It runs bit-exact, or the table says what each layer of its smallest plan needs."""
    if measured.misfit is None:
        measured.check()
        return
    flash, sram = measured.misfit.budgets
    assert flash.excess > 0 >= sram.excess
    assert measured.total.flash_bytes == sum(record.flash_bytes for record in measured.records[1:])
