"""Records of a tiny model, against its runs one by one and figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_model import (
    CRAMPED_FLASH,
    CRAMPED_SRAM,
    FLOAT_ACCURACY,
    INPUTS,
    WEIGHTS,
    tiny_graph,
    tiny_model,
)

from emulators.zilog import Z80
from harness.errors import Difference, HarnessError, Mismatch
from harness.measure import first_difference, measure
from harness.plans import PlanPolicy, compile_model
from harness.record import DOES_NOT_FIT, FITS, REST, Record
from harness.run import Run, Runner
from kernels.compile import compile_graph
from kernels.errors import DoesNotFit, GraphError, Unsupported
from kernels.image import Program
from kernels.target import Region, Target, find_target
from models import Model, UnknownModel

MODULE = import_module("harness.measure")  # the package has a function of that name
TARGETS = ["uno", "mega", "cpm"]
CHEAP, DEAR = INPUTS[1], INPUTS[2]


def runs_on(target: str) -> list[Run]:
    """The runs of the model's inputs, as no measurement has seen them."""
    runner = Runner(compile_graph(tiny_graph(), find_target(target)))
    return [runner.infer(x) for x in INPUTS]


def assert_statistics(record: Record, cycles: Sequence[int]) -> None:
    assert record.n_inputs == len(cycles)
    assert (record.cycles_min, record.cycles_max) == (min(cycles), max(cycles))
    assert record.cycles_mean == sum(cycles) / len(cycles)
    # Of four inputs, only the largest count is not exceeded by 95 %.
    assert record.cycles_p95 == max(cycles)


@pytest.mark.parametrize("target", TARGETS)
def test_statistics_are_of_the_inputs_own_cycles(target: str) -> None:
    records, runs = measure(tiny_model(), target).records, runs_on(target)
    assert len({run.cycles for run in runs}) > 1
    assert_statistics(records[0], [run.cycles for run in runs])
    for record in records[1:3]:
        assert record.layer is not None
        assert_statistics(record, [run.layer_cycles[record.layer] for run in runs])
    assert_statistics(records[3], [run.cycles - sum(run.layer_cycles.values()) for run in runs])


@pytest.mark.parametrize(
    ("cheap", "dear", "p95_is_dear"),
    [(1, 0, False), (19, 1, False), (18, 1, True), (18, 2, True), (38, 2, False), (0, 3, True)],
)
def test_p95_is_the_least_count_that_95_percent_do_not_exceed(
    cheap: int, dear: int, p95_is_dear: bool
) -> None:
    _, low, high, _ = (run.cycles for run in runs_on("uno"))
    inputs = np.stack([DEAR] * dear + [CHEAP] * cheap)
    assert measure(tiny_model(inputs, None), "uno").total.cycles_p95 == (
        high if p95_is_dear else low
    )


@pytest.mark.parametrize("target", TARGETS)
def test_layers_and_the_rest_add_up_to_the_program(target: str) -> None:
    total, *parts = measure(tiny_model(), target).records
    assert [part.layer for part in parts] == ["fc", "best", REST]
    for field in ("cycles_mean", "flash_bytes", "macs", "nnz"):
        assert sum(getattr(part, field) for part in parts) == getattr(total, field)
    assert total.latency_ms == pytest.approx(sum(part.latency_ms or 0 for part in parts))


@pytest.mark.parametrize(("target", "megahertz"), [("uno", 16), ("mega", 16), ("cpm", 4)])
def test_latency_is_the_mean_at_the_clock(target: str, megahertz: int) -> None:
    for record in measure(tiny_model(), target).records:
        assert record.cycles_mean is not None
        assert record.latency_ms == pytest.approx(record.cycles_mean / megahertz / 1000)


@pytest.mark.parametrize("target", TARGETS)
def test_memory(target: str) -> None:
    measured, peaks = measure(tiny_model(), target), {run.stack_peak for run in runs_on(target)}
    total, program = measured.total, measured.program
    assert program is not None
    assert total.stack_peak == max(peaks)
    assert total.sram_bytes == program.arena.size + max(peaks)
    assert total.flash_bytes == len(program.image.data)
    assert (total.flash_available, total.sram_available) == (
        measured.target.code.size,
        measured.target.data.size,
    )
    fc, best, rest = measured.records[1:]
    behind = 2 if target == "cpm" else 0  # threaded lists leave a gap behind the logits
    assert best.sram_bytes == 2 * 2 + behind + 1  # the logits and their argmax
    assert (fc.sram_bytes, rest.sram_bytes) == (program.arena.size, None)
    assert {part.stack_peak for part in (fc, best, rest)} == {None}


def test_the_deepest_stack_of_all_inputs_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter([1, 5, 9, 7, 2])  # the first run is the profiled one

    class Deeper(Runner):
        """Says that each input needs another depth."""

        def _infer(self, x: NDArray[np.int64], **how: bool) -> Run:
            return replace(super()._infer(x, **how), stack_peak=next(peaks))

    monkeypatch.setattr(MODULE, "Runner", Deeper)
    measured = measure(tiny_model(), "uno")
    assert measured.program is not None
    assert measured.total.stack_peak == 9
    assert measured.total.sram_bytes == measured.program.arena.size + 9


def test_work() -> None:
    total, fc, best, rest = measure(tiny_model(), "uno").records
    for record in (total, fc):
        assert record.cycles_mean is not None
        assert (record.macs, record.nnz) == (6, 4)
        assert record.cycles_per_mac == record.cycles_mean / 6
    for record in (best, rest):
        assert (record.macs, record.nnz, record.cycles_per_mac) == (0, 0, None)


def test_names() -> None:
    measured = measure(tiny_model(), "cpm")
    assert {record.model for record in measured.records} == {"tiny"}
    assert {record.target for record in measured.records} == {"cpm"}
    assert {record.verdict for record in measured.records} == {FITS}
    assert {record.emulator for record in measured.records} == {Z80().name}
    encodings = [record.encoding for record in measured.records]
    assert encodings == [None, "threaded-lists", None, None]
    dense = measure(tiny_model(), "cpm", encodings={"fc": "dense8"})
    assert dense.records[1].encoding == "dense8"


def accuracies(record: Record) -> tuple[float | None, str | None, float | None]:
    return record.accuracy, record.accuracy_by, record.reference_accuracy


def test_accuracy_is_the_emulator_s_where_inputs_have_labels() -> None:
    measured = measure(tiny_model(), "uno")
    assert accuracies(measured.total) == (0.75, "emulator", FLOAT_ACCURACY)
    for record in measured.records[1:]:
        assert accuracies(record) == (None, None, None)


def test_accuracy_is_the_integer_reference_s_where_inputs_have_none() -> None:
    expected = (1.0, "integer reference", FLOAT_ACCURACY)
    assert accuracies(measure(tiny_model(labels=None), "uno").total) == expected
    assert accuracies(measure(tiny_model().shortened(2), "uno").total) == expected


def test_the_caller_s_inputs_have_no_accuracy() -> None:
    def refuse(_: Model) -> float:
        raise AssertionError("nobody needs it")

    measured = measure(tiny_model(), "uno", inputs=INPUTS[1:3], reference_accuracy=refuse)
    assert accuracies(measured.total) == (None, None, None)
    assert_statistics(measured.total, [run.cycles for run in runs_on("uno")[1:3]])


def test_the_caller_can_know_the_reference_s_accuracy() -> None:
    measured = measure(tiny_model(), "uno", reference_accuracy=lambda model: len(model.name) / 8)
    assert measured.total.reference_accuracy == 0.5


def test_the_same_run_twice_gives_identical_records() -> None:
    assert measure(tiny_model(), "uno").records == measure(tiny_model(), "uno").records


@pytest.mark.parametrize("target", TARGETS)
def test_right_answers_are_bit_exact(target: str) -> None:
    measured = measure(tiny_model(), target)
    assert measured.bit_exact
    assert {record.bit_exact for record in measured.records} == {True}
    assert (measured.difference, measured.misfit) == (None, None)
    measured.check()


@pytest.fixture
def _one_weight_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Change bytes of the compiled image: the weight of x[1] for the first output is 5, not 0."""
    other = WEIGHTS.copy()
    other[0, 1] = 5

    def tampering(model: Model, target: Target, *how: Any) -> Program:
        program = compile_model(model, target, *how)
        image = compile_graph(tiny_graph(other), target, program.choices).image
        changed = [a != b for a, b in zip(program.image.data, image.data, strict=True)]
        assert 0 < sum(changed) < 5  # the weight, and what a kernel derives from it
        return replace(program, image=image)

    monkeypatch.setattr(MODULE, "compile_model", tampering)


@pytest.mark.usefixtures("_one_weight_off")
@pytest.mark.parametrize("target", TARGETS)
def test_a_wrong_weight_is_found_where_it_first_matters(target: str) -> None:
    measured = measure(tiny_model(), target, encodings={"fc": "dense8"})
    # The first input with x[1] != 0 is number 2: (1, 2, 3). 1 - 2 * 3 should be the first logit.
    expected = Difference(sample=2, tensor="logits", index=0, got=-5 + 5 * 2, want=-5)
    assert not measured.bit_exact
    assert measured.difference == expected
    with pytest.raises(Mismatch) as caught:
        measured.check()
    assert caught.value.where == expected
    assert str(caught.value) == (
        f"tiny on {target}: input 2: logits[0] is 5 in the emulator, -5 in the reference"
    )


@pytest.mark.usefixtures("_one_weight_off")
def test_a_wrong_program_has_cycles_but_no_accuracy() -> None:
    measured = measure(tiny_model(), "uno", encodings={"fc": "dense8"})
    assert {record.bit_exact for record in measured.records} == {False}
    assert {record.verdict for record in measured.records} == {FITS}
    assert accuracies(measured.total) == (None, None, None)
    assert measured.total.cycles_max is not None


def test_the_first_difference_is_by_input_then_output_then_element() -> None:
    expected = {"logits": np.array([[1, 2], [3, 4]]), "class_index": np.array([[1], [1]])}

    def found(*outputs: tuple[list[int], int]) -> Difference | None:
        runs = [Run({"logits": np.array(a), "class_index": np.array([b])}, 9, {}, 2)
                for a, b in outputs]  # fmt: skip
        return first_difference(tiny_graph(), expected, runs)

    assert found(([1, 2], 1), ([3, 4], 1)) is None
    assert found(([1, 2], 0), ([9, 9], 1)) == Difference(0, "class_index", 0, 0, 1)
    assert found(([1, 2], 1), ([3, 9], 0)) == Difference(1, "logits", 1, 9, 4)
    assert found(([8, 9], 1), ([9, 9], 0)) == Difference(0, "logits", 0, 8, 1)


def test_a_program_too_long_for_the_flash() -> None:
    """Its smallest plan is told."""
    fitting = measure(tiny_model(), "uno", plan=PlanPolicy.SMALLEST)
    measured = measure(tiny_model(), CRAMPED_FLASH)
    assert fitting.program is not None
    total = measured.total
    assert [record.layer for record in measured.records] == [None, "fc", "best", REST]
    for record, fit in zip(measured.records, fitting.records, strict=True):
        assert (record.target, record.verdict) == ("cramped", DOES_NOT_FIT)
        assert record.flash_bytes == fit.flash_bytes
        assert (record.macs, record.nnz) == (fit.macs, fit.nnz)
        assert (record.n_inputs, record.cycles_mean, record.cycles_max) == (0, None, None)
        assert (record.latency_ms, record.bit_exact, record.accuracy) == (None, None, None)
        assert (record.stack_peak, record.emulator) == (None, None)
    assert (total.flash_available, total.sram_available) == (20, 2048)
    assert total.sram_bytes == fitting.program.arena.size + 16
    assert (measured.program, measured.difference, measured.bit_exact) == (None, None, False)


@pytest.mark.parametrize(
    ("target", "memory"),
    [
        (CRAMPED_FLASH, "flash"),
        (CRAMPED_SRAM, "SRAM"),
        (replace(find_target("cpm"), code=Region(256, 500), data=Region(256, 500)), "memory"),
    ],
)
def test_check_raises_the_misfit(target: Target, memory: str) -> None:
    measured = measure(tiny_model(), target)
    with pytest.raises(DoesNotFit, match=f"does not fit {target.name}: {memory} needs") as caught:
        measured.check()
    assert caught.value is measured.misfit
    exceeded = [budget for budget in caught.value.budgets if budget.excess > 0]
    assert [budget.memory for budget in exceeded] == [memory]
    total, (budget,) = measured.total, exceeded
    assert total.sram_bytes is not None
    needed = {
        "flash": total.flash_bytes,
        "SRAM": total.sram_bytes,
        "memory": total.flash_bytes + total.sram_bytes,
    }
    assert (budget.needed, budget.available) == (needed[memory], 20 if memory != "memory" else 500)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UnknownModel, match="nothing"):
        measure("nothing", "uno")
    with pytest.raises(Unsupported, match="known targets: uno, "):
        measure(tiny_model(), "pdp11")
    with pytest.raises(Unsupported, match="has no layer 'best' with weights"):
        measure(tiny_model(), "uno", encodings={"best": "dense8"})
    with pytest.raises(GraphError, match="expected"):
        measure(tiny_model(), "uno", inputs=INPUTS[:, :2])
    with pytest.raises(GraphError, match="outside"):
        measure(tiny_model(), "uno", inputs=INPUTS.astype(int) - 1)
    with pytest.raises(HarnessError, match="tiny: there are no inputs to run"):
        measure(tiny_model(), "uno", inputs=INPUTS[:0])
