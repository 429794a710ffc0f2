"""The fastest plan that fits: candidates are measured, a knapsack combines them, plans are run.

1. Where the first plan in rank does not fit, bytes come first: drafts say whether any plan does.
2. Each layer with weights is compiled and run alone with each candidate.
3. A knapsack finds the plans with the least sum within the flash that is left to these layers.
4. The best few plans and those of a single encoding are drafted whole, run whole, and the best of
   them is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from sys import maxsize
from typing import Any

from numpy.typing import NDArray

from harness.cache import Cache
from harness.combine import Candidate, Combination, Objective, Plan
from harness.costs import (
    Cost,
    Refused,
    Workload,
    layer_cost,
)
from harness.errors import HarnessError
from harness.limits import Limits
from harness.problem import Problem
from harness.progress import Progress, silent
from harness.whole import Whole, unique
from harness.within import within
from kernels.choice import Choice, Choices, as_choice
from kernels.compile import draft_graph
from kernels.draft import Draft
from kernels.errors import DoesNotFit
from kernels.ir import Graph
from kernels.passes.layout import startup_of
from kernels.target import Target


@dataclass(frozen=True, slots=True)
class Tried:
    """A whole plan that was run; `taken` is the one that the search chose."""

    plan: Mapping[str, Choice]
    cost: Cost
    taken: bool


@dataclass(frozen=True, eq=False, slots=True)
class Search:
    """What a search found: a plan, the candidates behind it, and the plans that were run."""

    plan: Plan
    candidates: tuple[Candidate, ...]
    tried: tuple[Tried, ...]

    @property
    def cost(self) -> Cost:
        """What the plan that was taken costs."""
        return next(tried.cost for tried in self.tried if tried.taken)


class NoPlanFits(DoesNotFit):
    """No plan is within the limits. draft: of the smallest plan. candidates: what was tried."""

    def __init__(self, draft: Draft, limits: Limits, candidates: Sequence[Candidate]) -> None:
        super().__init__(draft.target.name, limits.budgets(draft))
        self.draft, self.candidates = draft, tuple(candidates)


def search(
    graph: Graph,
    target: Target,
    inputs: NDArray[Any],
    limits: Limits,
    *,
    objective: Objective = Objective.MEAN,
    fixed: Choices | None = None,
    cache: Cache | None = None,
    progress: Progress = silent,
) -> Search:
    """The best plan within limits. fixed: choices of layers that are not to be searched.

    Raises NoPlanFits, with the smallest plan, where none fits, and CompilerError.
    """
    given = {name: as_choice(choice) for name, choice in (fixed or {}).items()}
    cache = cache or Cache()
    problem = Problem(graph, target, inputs, limits, given, objective, cache, progress)
    if not problem.fits_by_rank and smallest_plan(problem) is None:
        raise _misfit(problem, problem.sizes)
    return _choose(problem)


def smallest_plan(problem: Problem) -> Plan | None:
    """The first plan that fits: the smallest, or one of a single encoding; nothing is run."""
    if problem.without_hope:
        return None
    whole = Whole(problem, problem.limits)
    plans = _smallest(problem, problem.sizes)
    return next((plan for plan in plans if whole.excess(plan) <= 0), None)


def _smallest(problem: Problem, found: Sequence[Candidate]) -> Iterator[Plan]:
    """Plans of the fewest bytes, by layers alone and beside others, and of a single encoding."""
    yield from _least(problem, found)
    yield from Combination(problem.rank, problem.limits, Objective.FLASH, found).uniform()
    yield from _least(problem, within(problem, found))


def _least(problem: Problem, found: Sequence[Candidate]) -> Iterator[Plan]:
    for limits in _limits(problem):
        plan = Combination(problem.rank, limits, Objective.FLASH, found).smallest()
        if plan is not None:
            yield plan


def _limits(problem: Problem) -> tuple[Limits, Limits]:
    """Of candidates alone: strictly those of the whole; and of code memory only."""
    return problem.limits, problem.limits.of_code


def _ceilings(problem: Problem) -> list[Limits]:
    """The limits, and lower ones where a smaller program loads its constants faster."""
    first, *others = problem.limits.bytes
    near = startup_of(problem.target).FAR
    lower = [Limits((near, *others))] if near < first else []
    return [problem.limits, *lower]


def _misfit(problem: Problem, found: Sequence[Candidate]) -> NoPlanFits:
    """What the smallest plan would need if there were no limits."""
    endless = replace(problem, limits=Limits((maxsize,) * len(problem.limits.bytes)))
    plan = min(
        _smallest(endless, found), key=Whole(problem, problem.limits).excess, default=problem.rank
    )
    return NoPlanFits(draft_graph(problem.graph, problem.target, plan), problem.limits, found)


def _measured(problem: Problem) -> Iterator[Candidate]:
    """Every candidate of every layer, measured unless it is too large for any plan."""
    done, total = 0, sum(len(choices) for _, _, choices in problem.layers)
    for layer, work, choices in problem.layers:
        too_large: set[str] = set()
        for choice in choices:
            problem.progress("candidates", done, total)
            done += 1
            if choice.encoding in too_large:
                continue  # hot columns only make it larger
            one = _measure(problem, layer, work, choice)
            yield one
            if problem.hopeless(one) or (isinstance(one.cost, Refused) and not choice.hot):
                too_large.add(choice.encoding)


def _measure(problem: Problem, layer: str, work: Workload, choice: Choice) -> Candidate:
    """A candidate with its cost; with its size alone, if that is known to be too large."""
    known = [one for one in problem.sizes if (one.layer, one.choice) == (layer, choice)]
    if known and problem.hopeless(known[0]):
        return known[0]
    cost = layer_cost(work, choice, problem.target, problem.cache)
    return Candidate(layer, choice, problem.bounded(cost, work, {layer: choice}))


def _choose(problem: Problem) -> Search:
    """Measure, run the plans that may be best, and take the best."""
    found, objective = tuple(_measured(problem)), problem.objective
    known = within(problem, found)
    strict, loose = (Combination(problem.rank, x, objective, known) for x in _limits(problem))
    ways = [strict, loose] if loose.groups != strict.groups else [strict]
    wholes = [Whole(problem, limits) for limits in _ceilings(problem)]
    best = [plan for whole in wholes for way in ways for plan in whole.best(way)]
    tried = wholes[0].run(unique([*best, *_smallest(problem, found)]))
    if not tried:
        raise _misfit(problem, found)
    if all(objective.of(cost) == inf for _, cost in tried):
        raise HarnessError(f"no plan of {problem.graph.name} has a known bound: see fit --worst")
    taken, _ = min(tried, key=lambda one: (objective.of(one[1]), one[1].flash))
    return Search(taken, found, tuple(Tried(plan, cost, plan is taken) for plan, cost in tried))
