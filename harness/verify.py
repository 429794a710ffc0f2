"""Every example of a model's evaluation in the emulator, compared with the integer reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.emulate import Emulated, emulate
from harness.errors import Difference, HarnessError, Mismatch
from harness.executor import executor_for
from harness.expected import Expected
from harness.explain import Fault, explain
from harness.plans import PlanPolicy, compile_model
from kernels.choice import Choices
from kernels.errors import CompilerError, DoesNotFit
from kernels.image import Program
from kernels.target import Target
from kernels.target import targets as all_targets
from models import Model


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
    plan: PlanPolicy = PlanPolicy.AUTO,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Verification:
    """Compare on the first of the targets that holds the program.

    examples: how many of the evaluation's, from the first; None for all. plan: how encodings are
    chosen. jobs: processes to share the work. progress: told how many examples have been run.
    Raises CompilerError or HarnessError for what cannot be compiled or run.
    """
    wanted = Expected(model, examples)
    if not len(wanted.inputs) or not targets:
        raise HarnessError(f"{model.name}: there is nothing to compare")
    try:
        program = compile_for_first(model, targets, plan)
    except DoesNotFit as misfit:
        return Verification(model.name, targets[-1].name, 0, misfit=misfit)
    emulated = emulate(program, wanted.inputs, executor_for(jobs), progress=progress)
    return verification(wanted, program, emulated)


def by_size(isa: str) -> list[Target]:
    """The targets of an instruction set, those with the least code memory first."""
    found = [target for target in all_targets().values() if target.isa == isa]
    return sorted(found, key=lambda target: target.code.size)


def compile_for_first(
    model: Model,
    targets: Sequence[Target],
    plan: PlanPolicy = PlanPolicy.AUTO,
    fixed: Choices | None = None,
) -> Program:
    """The program for the first target that holds it; where none does, the last one's error."""
    for number, target in enumerate(targets, start=1):
        try:
            return compile_model(model, target, plan, fixed)
        except CompilerError:
            if number == len(targets):
                raise
    raise HarnessError(f"{model.name}: there are no targets")


def verification(wanted: Expected, program: Program, emulated: Emulated) -> Verification:
    """What came of emulating the examples that are wanted."""
    difference = _first_difference(wanted, emulated)
    fault = explain(program, wanted.inputs[difference.sample]) if difference else None
    cycles, name = int(emulated.cycles.sum()), program.target.name
    return Verification(wanted.model.name, name, len(wanted.inputs), cycles, difference, fault)


def _first_difference(wanted: Expected, emulated: Emulated) -> Difference | None:
    """Where outputs first differ from the reference's."""
    count, found = len(wanted.inputs), []
    for tensor in wanted.model.graph.outputs:
        want = wanted.values[tensor].reshape(count, -1)
        got = emulated.outputs[tensor].reshape(count, -1)
        wrong = np.argwhere(got != want)
        if wrong.size:
            sample, at = (int(n) for n in wrong[0])
            found.append(
                Difference(sample, tensor, at, int(got[sample, at]), int(want[sample, at]))
            )
    return min(found, key=lambda difference: difference.sample, default=None)
