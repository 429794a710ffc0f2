"""tinychat on a Z80: T-states of a forward pass, beside goals and the peer's figures.

A step is counts in RAM to logits in RAM and argmax, without anything kept from the step before; the
mean is over the free-running replies to the first 300 unique queries. Rates of activation, which
decide what rows share and which columns are hot, are from the replies to the next 200, none of
which is measured.

Within a reply the query's counts stay, so where the first layer keeps their sums every further
character walks the others alone: that is measured beside the whole steps of the same characters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from adversarial import adversarial
from goals import Goal
from numpy.typing import NDArray
from threaded import Rates, everywhere, rates_of, within

from harness.pytest_plugin import Cycles, LoadModel
from harness.run import Runner
from kernels import reference
from kernels.choice import Choice
from kernels.compile import compile_graph
from kernels.image import Kind, Program
from kernels.target import Interrupts, Target, find_target
from models import Model, load
from models.tinychat import load_tinychat

QUERIES, CALIBRATION, ADVERSARIAL, MSX_STEPS = 300, 200, 600, 50
PEER = {39_992: 27_600_000, 45_056: 2_100_000}
"""T-states of a character by z80ai's two programs, by their bytes."""


@dataclass(frozen=True, slots=True)
class Row:
    """A program, and mean T-states of a step that are wanted of it.

    image: bytes that it may have. encoding: of every layer; None: threaded gaps, with as many hot
    columns as there is room for. goals: what must be reached, and what is beyond that; None where
    the row only says what something costs.
    """

    title: str
    target: Target
    image: int
    encoding: str | None
    goals: tuple[int, int] | None

    def plan(self, model: Model, rates: Rates) -> dict[str, Choice]:
        """How its layers' weights are held."""
        if self.encoding is None:
            return within(model, self.target, rates, self.image)
        return everywhere(rates, self.encoding)


CPM, CPM_EI, BANKS = (find_target(name) for name in ("cpm", "cpm-ei", "z80-banks"))
BANKS_EI = replace(BANKS, name="z80-banks-ei", interrupts=Interrupts.SERVED)
ROWS = (
    Row("57 KB TPA", CPM, 58_368, "threaded-words", (290_000, 265_000)),
    Row("image of 45,056 bytes", CPM, 45_056, None, (305_000, 275_000)),
    Row("image of 40,960 bytes", CPM, 40_960, None, (325_000, 295_000)),
    Row("57 KB TPA, interrupts served", CPM_EI, 58_368, "index-lists", None),
    Row("28 banks of 16 KB", BANKS, 29 * 16_384, "straight-line", (260_000, 240_000)),
    Row("28 banks, interrupts served", BANKS_EI, 29 * 16_384, "straight-line", None),
)


QUERY_COUNTS = 128  # of the inputs, the first
FURTHER = tuple(row for row in ROWS if row.goals and row.encoding)


@cache
def _steps(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Inputs that are measured, and others to calibrate by."""
    chat = load_tinychat(folder)
    parts = chat.queries[:QUERIES], chat.queries[QUERIES : QUERIES + CALIBRATION]
    measured, others = (
        np.concatenate([reply.inputs for reply in chat.replies(queries)]) for queries in parts
    )
    return measured.astype(np.int64), others.astype(np.int64)


@cache
def _program(folder: Path, row: Row) -> Program:
    """The row's program, which two tests run."""
    model = load("tinychat", folder)
    return compile_graph(
        model.graph, row.target, row.plan(model, rates_of(model, _steps(folder)[1]))
    )


@cache
def _replies(folder: Path) -> list[NDArray[np.int64]]:
    """The steps of each measured reply."""
    chat = load_tinychat(folder)
    return [reply.inputs.astype(np.int64) for reply in chat.replies(chat.queries[:QUERIES])]


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
def test_a_step(
    cycles: Cycles,
    meets: Callable[[Goal], None],
    load_model: LoadModel,
    tinychat_folder: Path,
    row: Row,
) -> None:
    """All steps, and adversarial ones, bit for bit; the same steps with a wait state per M1."""
    model = load_model("tinychat")
    steps, _ = _steps(tinychat_folder)
    program = _program(tinychat_folder, row)
    times = _cycles(model, program, steps)
    strained = adversarial(model, ADVERSARIAL)
    worst = _cycles(model, program, strained)
    values = reference.run(model.graph, strained)
    largest = max(int(v.max()) for name, v in values.items() if name.startswith("hidden"))
    waiting = replace(row.target, name=f"{row.target.name}-m1", title="MSX timing", m1_wait=1)
    some = steps[:: len(steps) // MSX_STEPS]
    msx = _cycles(model, compile_graph(model.graph, waiting, program.choices), some)
    share = msx.mean() / times[:: len(steps) // MSX_STEPS].mean()
    p95 = int(np.percentile(times, 95, method="inverted_cdf"))
    goal = "" if row.goals is None else " (goal {:,}, beyond it {:,})".format(*row.goals)
    cycles.note(
        f"tinychat on {row.target.name}, {row.title}: {_size(program)}, SRAM "
        f"{program.arena.size:,}; mean {times.mean():,.0f} T{goal}, min {times.min():,}, p95 "
        f"{p95:,}, max {times.max():,}; MSX timing {times.mean() * share:,.0f} T (from "
        f"{len(some)} steps)\n  {len(steps) + len(strained):,} forward passes exact, "
        f"activations up to {largest}, at most {worst.max():,} T"
    )
    assert len(steps) + len(strained) > 2_000
    assert largest > 255
    assert program.flash <= row.image
    if row.goals:
        peer = max(size for size in PEER if size <= row.image)
        beside = {"MSX timing": float(times.mean() * share), "z80ai": f"{PEER[peer]:,}"}
        workload = f"tinychat, {row.title}"
        meets(Goal("z80", workload, "T, mean", float(times.mean()), *row.goals, beside))


def _size(program: Program) -> str:
    """Bytes that are in use, and in how many banks they lie."""
    used = sum(part.size for part in program.image.parts if part.kind is not Kind.UNUSED)
    banks = program.target.banks
    behind = f" in bank 0 and {-(-program.flash // banks.size) - 1} others" if banks else ""
    return f"{used:,} bytes{behind}"


@pytest.mark.parametrize("row", FURTHER, ids=lambda row: row.title.replace(" ", "-"))
def test_further_characters(
    cycles: Cycles, load_model: LoadModel, tinychat_folder: Path, row: Row
) -> None:
    """Steps from the query's kept sums on, bit for bit, beside whole steps."""
    model = load_model("tinychat")
    beforehand = _program(tinychat_folder, row)
    whole, plan = Runner(beforehand), dict(beforehand.choices)
    first, *_ = plan
    program = compile_graph(
        model.graph, row.target, plan | {first: replace(plan[first], kept=QUERY_COUNTS)}
    )
    runner, again, beside, begun, alone = Runner(program), *(list[int]() for _ in range(4))
    for steps in _replies(tinychat_folder):
        want = reference.run(model.graph, steps)
        for number, x in enumerate(steps):
            run = runner.infer_again(x) if number else runner.infer(x)
            for name in model.graph.outputs:
                assert np.array_equal(run.outputs[name], want[name][number]), (number, name)
            (again if number else begun).append(run.cycles)
            (beside if number else alone).append(whole.infer(x).cycles)
    share = np.sum(again) / np.sum(beside)
    cycles.note(
        f"tinychat on {row.target.name}, {row.title}, sums of the query kept: {_size(program)}, "
        f"SRAM {program.arena.size:,}\n  a further character {np.mean(again):,.0f} T, "
        f"{1 - share:.1%} less than as a whole step, {np.mean(beside):,.0f} T (goal: 10 % less; "
        f"{len(again):,} steps); the first one, which makes the sums, {np.mean(begun):,.0f} T, as "
        f"a whole step {np.mean(alone):,.0f} T"
    )
    assert len(again) > 1_000
    assert share < 0.98
