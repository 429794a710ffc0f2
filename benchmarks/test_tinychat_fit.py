"""tinychat, unmodified, in an Arduino UNO beside its boot loader: bytes, exactness, time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from adversarial import adversarial

from harness.cache import Cache
from harness.limits import limits_of
from harness.problem import CALIBRATION, spread
from harness.pytest_plugin import Cycles, LoadModel
from harness.run import Runner
from harness.search import search
from kernels import compile as compiler
from kernels import reference
from kernels.compile import compile_graph
from kernels.target import find_target
from models.tinychat import load_tinychat

FLASH, SRAM = 32_256, 2_048
QUERIES, STEPS, ADVERSARIAL = 500, 1_800, 200


def test_tinychat_fits_an_uno(cycles: Cycles, load_model: LoadModel, tinychat_folder: Path) -> None:
    """Logits equal the reference's on free-running steps and on adversarial inputs."""
    model, target = load_model("tinychat"), find_target("uno")
    found = search(model.graph, target, model.calibration, limits_of(target))
    program = compile_graph(model.graph, target, found.plan)
    runner = Runner(program)
    steps = load_tinychat(tinychat_folder).free_running(QUERIES)[:STEPS].astype(np.int64)
    inputs = np.concatenate([steps, adversarial(model, ADVERSARIAL)])
    want = reference.run(model.graph, inputs)
    peak, most, total = 0, 0, 0
    for number, x in enumerate(inputs):
        run = runner.infer(x)
        for name in model.graph.outputs:
            assert np.array_equal(run.outputs[name], want[name][number]), (number, name)
        peak, most = max(peak, run.stack_peak), max(most, run.cycles)
        total += run.cycles if number < STEPS else 0
    sram = program.arena.size + peak
    plan = ", ".join(f"{layer} {choice}" for layer, choice in program.choices.items())
    largest = max(int(values.max()) for name, values in want.items() if name != "counts")
    cycles.note(
        f"tinychat on uno: {program.flash:,} of {FLASH:,} bytes of flash, {sram:,} of {SRAM:,} of "
        f"SRAM with a stack of {peak}; {len(inputs):,} inputs exact, activations up to {largest}; "
        f"mean {total / STEPS:,.0f} cycles a step, at most {most:,}\n  {plan}"
    )
    assert len(steps) == STEPS
    assert largest > 255
    assert program.flash <= FLASH
    assert sram <= SRAM


def test_the_order_of_units_pays(
    cycles: Cycles, load_model: LoadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same encodings with hidden units as they come, and as the encodings like them best."""
    model, target = load_model("tinychat"), find_target("uno")
    plan = {"fc1": "nibble-lists", "fc2": "trits", "fc3": "trits", "fc4": "trits"}
    programs = [compile_graph(model.graph, target, plan)]
    monkeypatch.setattr(compiler, "order_units", lambda graph, plan: (graph, plan))
    programs.append(compile_graph(model.graph, target, plan))
    inputs = spread(model.calibration, CALIBRATION)
    runners = [Runner(program) for program in programs]
    ordered, given = (
        float(np.mean([run.cycles for run in runner.infer_all(inputs)])) for runner in runners
    )
    sizes = [program.flash for program in programs]
    cycles.note(
        f"tinychat on uno, nibble-lists and trits: units in order {ordered:,.0f} cycles and "
        f"{sizes[0]:,} bytes, as they come {given:,.0f} and {sizes[1]:,}"
    )
    assert ordered < given
    assert sizes[0] < sizes[1]


def test_compile_time(
    cycles: Cycles, load_model: LoadModel, tmp_path: Path, cold_search: bool
) -> None:
    """Two searches with the compilation that follows; the second one measures nothing anew.

    Unless `--cold-search` is given, the first one may remember earlier runs.
    """
    model, target = load_model("tinychat"), find_target("uno")
    folder = tmp_path / "cache" if cold_search else None
    said, plans = [], []
    for _ in range(2):
        start = time.process_time()
        cache = Cache(folder)
        found = search(model.graph, target, model.calibration, limits_of(target), cache=cache)
        plans.append(compile_graph(model.graph, target, found.plan).image.data)
        seconds = time.process_time() - start
        said.append(f"{seconds:.1f} s of CPU, {cache.misses} measured, {cache.hits} remembered")
    cycles.note(f"tinychat for uno, searched and compiled: {'; again: '.join(said)}")
    assert plans[0] == plans[1]
    assert (cache.misses, cache.hits > 0) == (0, True)
