"""Every example of a model's evaluation in the emulator, compared with the integer reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.emulate import Emulated, emulate
from harness.errors import Difference, HarnessError, Mismatch
from harness.executor import executor_for
from harness.explain import Fault, explain
from harness.plans import compile_model
from kernels import reference
from kernels.errors import DoesNotFit
from kernels.image import Program
from kernels.target import Target
from models import Model

BATCH = 1024


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of a comparison.

    examples: how many were run. difference: the first one where emulator and reference disagree.
    cycles: of all of them. fault: where the first difference comes from. misfit: why nothing was
    run.
    """

    model: str
    target: str
    examples: int
    cycles: int = 0
    difference: Difference | None = None
    fault: Fault | None = None
    misfit: DoesNotFit | None = None

    def check(self) -> None:
        """Raise DoesNotFit or Mismatch unless every example is equal."""
        if self.misfit:
            raise self.misfit
        if self.difference:
            raise Mismatch(f"{self.model} on {self.target}", self.difference)

    def text(self) -> str:
        """One line."""
        if self.misfit:
            return f"{self.model} {self.misfit}"
        if self.difference:
            mismatch = str(Mismatch(f"{self.model} on {self.target}", self.difference))
            return "\n".join([mismatch, self.fault.text()] if self.fault else [mismatch])
        return (
            f"{self.model} on {self.target}: all outputs of {self.examples:,} examples equal the "
            f"reference's, {self.cycles:,} cycles"
        )


def verify(
    model: Model,
    targets: Sequence[Target],
    *,
    examples: int | None = None,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Compare on the first of the targets that holds the program.

    examples: how many of the evaluation's, from the first; None for all. jobs: processes to share
    the work. progress: told how many examples have been run.
    Raises CompilerError or HarnessError for what cannot be compiled or run.
    """
    inputs = model.evaluation.inputs[:examples]
    if not len(inputs) or not targets:
        raise HarnessError(f"{model.name}: there is nothing to compare")
    for target in targets:
        try:
            program = compile_model(model, target)
        except DoesNotFit as error:
            misfit = error
            continue
        emulated = emulate(program, inputs, executor_for(jobs), progress=progress)
        return verification(model, program, inputs, emulated)
    return Verification(model.name, target.name, 0, misfit=misfit)


def verification(
    model: Model, program: Program, inputs: NDArray[np.integer], emulated: Emulated
) -> Verification:
    """What came of emulating the inputs of a model's evaluation."""
    difference = fault = None
    for start in range(0, len(inputs), BATCH):
        difference = _first_difference(model, inputs[start : start + BATCH], emulated, start)
        if difference:
            fault = explain(program, inputs[difference.sample])
            break
    cycles = int(emulated.cycles.sum())
    return Verification(model.name, program.target.name, len(inputs), cycles, difference, fault)


def _first_difference(
    model: Model, inputs: NDArray[np.integer], emulated: Emulated, start: int
) -> Difference | None:
    """Where outputs for inputs from number `start` on first differ from the reference's."""
    expected = reference.run(model.graph, inputs)
    found = []
    for tensor in model.graph.outputs:
        want = expected[tensor].reshape(len(inputs), -1)
        got = emulated.outputs[tensor][start : start + len(inputs)].reshape(len(inputs), -1)
        wrong = np.argwhere(got != want)
        if wrong.size:
            sample, at = (int(n) for n in wrong[0])
            values = int(got[sample, at]), int(want[sample, at])
            found.append(Difference(start + sample, tensor, at, *values))
    return min(found, key=lambda difference: difference.sample, default=None)
