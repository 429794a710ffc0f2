"""tinychat on a Z80 under CP/M: T-states of a forward pass, beside goals and the peer's figures.

A step is counts in RAM to logits in RAM and argmax, without anything kept from the step before; the
mean is over the free-running replies to the first 300 unique queries. Rates of activation, which
decide what rows share and which columns are hot, are from the replies to the next 200, none of
which is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from adversarial import adversarial
from numpy.typing import NDArray
from threaded import fast, rates_of, within

from harness.pytest_plugin import Cycles, LoadModel
from harness.run import Runner
from kernels import reference
from kernels.compile import compile_graph
from kernels.image import Program
from kernels.target import find_target
from models import Model
from models.tinychat import load_tinychat

QUERIES, CALIBRATION, ADVERSARIAL, MSX_STEPS = 300, 200, 600, 50
PEER = "z80ai: 2,100,000 T at 45,056 bytes, 27,600,000 T at 39,992"


@dataclass(frozen=True, slots=True)
class Row:
    """A goal: mean T-states of a step, within an image of so many bytes."""

    title: str
    image: int
    must: int
    stretch: int


ROWS = (
    Row("57 KB TPA", 58_368, 290_000, 265_000),
    Row("image of 45,056 bytes", 45_056, 305_000, 275_000),
    Row("image of 40,960 bytes", 40_960, 325_000, 295_000),
)


@cache
def _steps(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Inputs that are measured, and others to calibrate by."""
    chat = load_tinychat(folder)
    parts = chat.queries[:QUERIES], chat.queries[QUERIES : QUERIES + CALIBRATION]
    measured, others = (
        np.concatenate([reply.inputs for reply in chat.replies(queries)]) for queries in parts
    )
    return measured.astype(np.int64), others.astype(np.int64)


def _cycles(model: Model, program: Program, inputs: NDArray[np.int64]) -> NDArray[np.int64]:
    """T-states of each input; every output is compared."""
    runner, want = Runner(program), reference.run(model.graph, inputs)
    found = []
    for number, x in enumerate(inputs):
        run = runner.infer(x)
        for name in model.graph.outputs:
            assert np.array_equal(run.outputs[name], want[name][number]), (number, name)
        found.append(run.cycles)
    return np.array(found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title.replace(" ", "-"))
def test_a_step(cycles: Cycles, load_model: LoadModel, tinychat_folder: Path, row: Row) -> None:
    """All steps, and adversarial ones, bit for bit; the same steps with a wait state per M1."""
    model, target = load_model("tinychat"), find_target("cpm")
    steps, others = _steps(tinychat_folder)
    rates = rates_of(model, others)
    plan = fast(rates) if row is ROWS[0] else within(model, target, rates, row.image)
    program = compile_graph(model.graph, target, plan)
    times = _cycles(model, program, steps)
    strained = adversarial(model, ADVERSARIAL)
    worst = _cycles(model, program, strained)
    values = reference.run(model.graph, strained)
    largest = max(int(v.max()) for name, v in values.items() if name.startswith("hidden"))
    waiting = replace(target, name="cpm-m1", title="CP/M with MSX timing", m1_wait=1)
    some = steps[:: len(steps) // MSX_STEPS]
    msx = _cycles(model, compile_graph(model.graph, waiting, plan), some)
    share = msx.mean() / times[:: len(steps) // MSX_STEPS].mean()
    p95 = int(np.percentile(times, 95, method="inverted_cdf"))
    cycles.note(
        f"tinychat on cpm, {row.title}: {program.flash:,} bytes, SRAM {program.arena.size:,}; "
        f"mean {times.mean():,.0f} T (goal {row.must:,}, beyond it {row.stretch:,}), min "
        f"{times.min():,}, p95 {p95:,}, max {times.max():,}; MSX timing {times.mean() * share:,.0f}"
        f" T (from {len(some)} steps)\n  {len(steps) + len(strained):,} forward passes exact, "
        f"activations up to {largest}, at most {worst.max():,} T; {PEER}"
    )
    assert len(steps) + len(strained) > 2_000
    assert largest > 255
    assert program.flash <= row.image
    assert times.mean() <= row.must
