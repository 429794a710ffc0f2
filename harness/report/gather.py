"""The measurements behind a report: every model on one target, over its evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.emulate import emulate
from harness.executor import Executor
from harness.measure import digest
from harness.plans import PlanPolicy, compile_model
from harness.record import REST
from kernels import reference
from kernels.choice import Choices
from kernels.errors import DoesNotFit
from kernels.image import Program
from kernels.target import Target
from models import Model, accuracy
from models.model import BATCH


@dataclass(frozen=True, eq=False, slots=True)
class Subject:
    """One model on the report's target.

    flash, sram: bytes needed. What was not run is None: program, cycles (int64 (n,)), layer_cycles
    (means), accuracy of the emulated program, equal (whether all outputs were the reference's).
    """

    model: Model
    target: Target
    flash: int
    sram: int
    inputs: str
    examples: int
    float_accuracy: float
    program: Program | None = None
    cycles: NDArray[np.int64] | None = None
    layer_cycles: Mapping[str, float] | None = None
    accuracy: float | None = None
    equal: bool | None = None
    misfit: str | None = None

    @property
    def mean(self) -> float | None:
        """Mean cycles of an inference."""
        return None if self.cycles is None else float(self.cycles.mean())

    @property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates by layer, of those that have any."""
        return {node.name: node.macs for node in self.model.graph.nodes if node.macs}


def gather(
    model: Model,
    target: Target,
    executor: Executor,
    *,
    encodings: Choices | None = None,
    plan: PlanPolicy = PlanPolicy.AUTO,
    examples: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Subject:
    """Measure a model over the first examples of its evaluation, all of them if None.

    A program that does not fit is a subject without cycles.
    """
    inputs, labels = model.evaluation.inputs[:examples], model.evaluation.labels[:examples]
    known = Subject(model, target, 0, 0, digest(inputs), len(inputs), model.reference.accuracy())
    try:
        program = compile_model(model, target, plan, encodings)
    except DoesNotFit as misfit:
        flash = sum(need.size for need in misfit.needs if need.in_image)
        sram = sum(need.size for need in misfit.needs if not need.in_image)
        return replace(known, flash=flash, sram=sram, misfit=str(misfit))
    found = emulate(program, inputs, executor, progress=progress)
    rest = found.cycles - sum(found.layer_cycles.values())
    means = {name: float(counts.mean()) for name, counts in found.layer_cycles.items()}
    return replace(
        known,
        flash=program.flash,
        sram=program.arena.size + found.stack_peak,
        program=program,
        cycles=found.cycles,
        layer_cycles=means | {REST: float(rest.mean())},
        accuracy=accuracy(found.outputs[model.graph.outputs[-1]].reshape(len(inputs)), labels),
        equal=_equal(model, inputs, found.outputs),
    )


def _equal(
    model: Model, inputs: NDArray[np.uint8], outputs: Mapping[str, NDArray[np.int64]]
) -> bool:
    for start in range(0, len(inputs), BATCH):
        part = inputs[start : start + BATCH]
        expected = reference.run(model.graph, part)
        for name in model.graph.outputs:
            if not np.array_equal(outputs[name][start : start + len(part)], expected[name]):
                return False
    return True
