"""What candidates take within a network: alone, a layer's input and output are dense.

Between layers that share a form, code that reads or writes dense values is not needed, so a sum of
layers alone is too large. Networks of a single encoding tell by how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.combine import Candidate, Combination, Objective
from harness.costs import Size, program_size
from harness.problem import Problem


def within(problem: Problem, found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with the bytes of their layer beside others of the same encoding.

    Where two layers' forms differ this may be too little.
    """
    less = _differences(problem, found)
    return [
        replace(one, cost=replace(one.cost, flash=one.cost.flash + less.get(_of(one), 0)))
        if isinstance(one.cost, Size)
        else one
        for one in found
    ]


def _of(one: Candidate) -> tuple[str, str]:
    return one.layer, one.choice.encoding


def _differences(problem: Problem, found: Sequence[Candidate]) -> dict[tuple[str, str], int]:
    """Bytes more than alone, by layer and encoding."""
    differences: dict[tuple[str, str], int] = {}
    for plan in Combination(problem.rank, problem.limits, Objective.FLASH, found).uniform():
        size = program_size(problem.work, plan, problem.target, problem.cache)
        if not isinstance(size, Size):
            continue
        for one in found:
            if isinstance(one.cost, Size) and plan[one.layer] == one.choice:
                more = size.layers[one.layer] - one.cost.flash
                differences[_of(one)] = min(more, differences.get(_of(one), more))
    return differences
