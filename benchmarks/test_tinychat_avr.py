"""z80ai's tinychat by event-driven kernels on AVR: cycles for the flash that one has.

Cycles are means of the steps of free-running replies to the first 400 unique queries, from the
counts in SRAM to the logits and their argmax. Hot columns are chosen from other steps than these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import plain_c
import pytest
from adversarial import adversarial
from goals import Goal
from numpy.typing import NDArray

from harness.pytest_plugin import Cycles, LoadModel
from harness.run import Runner
from kernels import reference
from kernels.choice import Choice
from kernels.compile import compile_graph, lower
from kernels.dtypes import INT16, UINT8
from kernels.ir import Graph
from kernels.ops.linear import Linear
from kernels.target import find_target
from models import Model
from models.tinychat import load_tinychat

QUERIES, ADVERSARIAL, CALIBRATION, PLAIN_STEPS = 400, 200, 300, 5


@dataclass(frozen=True)
class Row:
    """One way to hold the layers: encodings, and the share of each layer's inputs that are hot.

    flash, sram: bytes that it may have. cycles: what it may take; goals: what is wanted for so much
    flash, and beyond that, where it is a workload that has one.
    """

    target: str
    encodings: tuple[str, ...]
    hot: float
    flash: int
    sram: int
    cycles: int
    goals: tuple[int, int] | None = None


TWINS = ("nibble-lists", "twin-trits", "twin-trits", "twin-trits")
PAGED = ("nibble-lists", "paged-trits", "paged-trits", "paged-trits")
TRITS = ("nibble-lists", "trits", "trits", "trits")
ROWS = {
    "UNO": Row("uno", TWINS, 0.32, 32_256, 2_048, 79_500, (90_000, 80_000)),
    "31 KiB": Row("atmega328p", TWINS, 0.24, 31_744, 1_792, 80_000, (101_000, 98_000)),
    "30.2 KiB": Row("atmega328p", PAGED, 0.3, 31_000, 1_792, 86_500),
    "29.2 KiB": Row("atmega328p", PAGED, 0.1, 29_900, 1_792, 87_000),
    "27.5 KiB": Row("atmega328p", TRITS, 0.15, 28_160, 1_792, 100_000, (110_000, 105_000)),
    "26.5 KiB": Row("atmega328p", ("nibble-lists",) * 4, 0.0, 27_136, 2_048, 118_000),
    "ATmega2560": Row(
        "mega", ("straight-line",) * 4, 1.0, 253_952, 8_192, 36_000, (36_000, 32_000)
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_row(
    cycles: Cycles,
    meets: Callable[[Goal], None],
    load_model: LoadModel,
    tinychat_folder: Path,
    name: str,
) -> None:
    model, row, chat = load_model("tinychat"), ROWS[name], load_tinychat(tinychat_folder)
    steps = chat.free_running(QUERIES).astype(np.int64)
    teacher_forced = chat.teacher_forced.inputs
    calibration = teacher_forced[:: len(teacher_forced) // CALIBRATION].astype(np.int64)
    held = choices(model.graph, row, calibration)
    program = compile_graph(model.graph, find_target(row.target), held)
    inputs = np.concatenate([steps, adversarial(model, ADVERSARIAL)])
    want, runner = reference.run(model.graph, inputs), Runner(program)
    spent, peak = [], 0
    for number, x in enumerate(inputs):
        run = runner.infer(x)
        for output in model.graph.outputs:
            assert np.array_equal(run.outputs[output], want[output][number]), (number, output)
        spent.append(run.cycles)
        peak = max(peak, run.stack_peak)
    own, sram = np.array(spent[: len(steps)]), program.arena.size + peak
    cycles.note(
        f"tinychat on {row.target}, {name}: {program.flash:,} bytes of flash, {sram:,} of SRAM and "
        f"stack; {own.min():,} / {own.mean():,.0f} / {own.max():,} cycles (min / mean / max) on "
        f"{len(own):,} free-running steps; {len(inputs):,} inputs bit-exact; "
        f"{program.target.milliseconds(own.mean()):.2f} ms"
    )
    assert len(steps) > 1_800
    assert program.flash <= row.flash
    assert sram <= row.sram
    assert own.mean() <= row.cycles
    if row.goals:
        workload = f"tinychat on {row.target}, image <= {row.flash:,} bytes"
        beside = _plain_c(model, steps) if plain_c.compiler() else {}
        meets(Goal("avr", workload, "cycles, mean", float(own.mean()), *row.goals, beside))


def _plain_c(model: Model, steps: NDArray[np.int64]) -> dict[str, float]:
    """Mean cycles of plain C on an ATmega2560, since no UNO holds it; outputs are checked."""
    layers = [node for node in model.graph.nodes if isinstance(node, Linear)]
    with TemporaryDirectory() as folder:
        header = plain_c.chat_header(layers)
        compiled = plain_c.compile_layer("chat", header, Path(folder), "mega")
    inputs = steps[:: len(steps) // PLAIN_STEPS]
    taken = []
    for x, want in zip(inputs, reference.run(model.graph, inputs)["logits"], strict=True):
        data, spent = compiled.run(UINT8.pack(x), 2 * want.size)
        assert np.array_equal(INT16.unpack(data, want.size), want)
        taken.append(spent)
    return {"plain C": float(np.mean(taken))}


def choices(graph: Graph, row: Row, calibration: NDArray[np.int64]) -> Mapping[str, Choice]:
    """Each layer's encoding, with those inputs hot that are active most often."""
    lowered = lower(graph)
    values = reference.run(lowered, calibration)
    layers = [node for node in lowered.nodes if isinstance(node, Linear)]
    found = {}
    for layer, encoding in zip(layers, row.encodings, strict=True):
        active = (values[layer.input.name].reshape(len(calibration), -1) != 0).sum(axis=0)
        order = np.argsort(-active, kind="stable")[: int(row.hot * len(active))]
        found[layer.name] = Choice(encoding, tuple(sorted(order.tolist())))
    return found
