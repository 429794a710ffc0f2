"""Every example of a model's evaluation in the emulator, compared with the integer reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import Difference, HarnessError, Mismatch
from harness.measure import first_difference
from harness.run import Runner
from kernels import reference
from kernels.compile import compile_graph
from kernels.errors import DoesNotFit
from kernels.ir import Graph
from kernels.target import Target
from models import Model

CHUNK = 64


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of a comparison.

    examples: how many were run. difference: the first one where emulator and reference disagree.
    cycles: of all of them. misfit: why nothing was run.
    """

    model: str
    target: str
    examples: int
    cycles: int = 0
    difference: Difference | None = None
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
            return str(Mismatch(f"{self.model} on {self.target}", self.difference))
        return (
            f"{self.model} on {self.target}: all outputs of {self.examples:,} examples equal the "
            f"reference's, {self.cycles:,} cycles"
        )


def verify(
    model: Model, targets: Sequence[Target], *, examples: int | None = None, jobs: int = 1
) -> Verification:
    """Compare on the first of the targets that holds the program.

    examples: how many of the evaluation's, from the first; None for all. jobs: processes to share
    the work. Raises CompilerError or HarnessError for what cannot be compiled or run.
    """
    inputs = model.evaluation.inputs[:examples]
    if not len(inputs) or not targets:
        raise HarnessError(f"{model.name}: there is nothing to compare")
    for target in targets:
        try:
            compile_graph(model.graph, target)
        except DoesNotFit as error:
            misfit = error
            continue
        return _compared(model, target, inputs, jobs)
    return Verification(model.name, target.name, 0, misfit=misfit)


def _compared(model: Model, target: Target, inputs: NDArray[np.integer], jobs: int) -> Verification:
    parts = [(start, inputs[start : start + CHUNK]) for start in range(0, len(inputs), CHUNK)]
    cycles, differences = 0, []
    for count, difference in _work(model.graph, target, parts, jobs):
        cycles += count
        if difference:
            differences.append(difference)
    first = min(differences, key=lambda found: found.sample, default=None)
    return Verification(model.name, target.name, len(inputs), cycles, first)


Part = tuple[int, NDArray[Any]]
Answer = tuple[int, Difference | None]


def _work(graph: Graph, target: Target, parts: Sequence[Part], jobs: int) -> Iterator[Answer]:
    if jobs == 1:
        yield from _compare(graph, target, parts)
        return
    # Processes that are started afresh: a fork would take this one's threads for its own.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        shares = [pool.submit(_list, graph, target, parts[job::jobs]) for job in range(jobs)]
        for share in as_completed(shares):
            yield from share.result()


def _list(graph: Graph, target: Target, parts: Sequence[Part]) -> list[Answer]:
    return list(_compare(graph, target, parts))


def _compare(graph: Graph, target: Target, parts: Iterable[Part]) -> Iterator[Answer]:
    """The cycles of each part, and the first difference in it."""
    runner = Runner(compile_graph(graph, target))
    for start, inputs in parts:
        runs = [runner.infer(x) for x in inputs]
        found = first_difference(graph, reference.run(graph, inputs), runs)
        if found:
            found = replace(found, sample=start + found.sample)
        yield sum(run.cycles for run in runs), found
