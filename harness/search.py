"""The fastest plan that fits: candidates are measured, a knapsack combines them, plans are run.

1. Where the first plan in rank does not fit, bytes come first: drafts say whether any plan does.
2. Each layer with weights is compiled and run alone with each candidate.
3. A knapsack finds the plans with the least sum within the flash that is left to these layers.
4. The best few plans and those of a single encoding are drafted whole, run whole, and the best of
   them is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from sys import maxsize
from typing import Any

from numpy.typing import NDArray

from harness.cache import Cache
from harness.combine import Candidate, Combination, Objective, Plan
from harness.costs import (
    Cost,
    Refused,
    Size,
    Workload,
    layer_cost,
    program_cost,
    program_size,
)
from harness.errors import HarnessError
from harness.limits import Limits
from harness.problem import Problem
from harness.progress import Progress, silent
from kernels.choice import Choice, Choices, as_choice
from kernels.compile import draft_graph
from kernels.draft import Draft
from kernels.errors import DoesNotFit
from kernels.ir import Graph
from kernels.target import Target

BEST = 4  # plans of the knapsack that are run whole
_ROUNDS = 8


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
    if not problem.fits_by_rank:
        smallest_plan(problem)
    return _choose(problem)


def smallest_plan(problem: Problem) -> Plan:
    """The first plan that fits: the smallest, or one of a single encoding; nothing is run.

    Raises NoPlanFits.
    """
    for plan in _smallest(problem, problem.sizes):
        size = program_size(problem.work, plan, problem.target, problem.cache)
        if isinstance(size, Size) and problem.limits.excess(size.needed) <= 0:
            return plan
    raise _misfit(problem, problem.sizes)


def _smallest(problem: Problem, found: Sequence[Candidate]) -> list[Plan]:
    """Plans of the fewest bytes, and those of a single encoding."""
    every = [Combination(problem.rank, x, Objective.FLASH, found) for x in _limits(problem)]
    least = [plan for one in every if (plan := one.smallest()) is not None]
    return _unique([*least, *every[0].uniform()])


def _limits(problem: Problem) -> tuple[Limits, Limits]:
    """Of candidates alone: strictly those of the whole; and of code memory only."""
    return problem.limits, problem.limits.of_code


def _misfit(problem: Problem, found: Sequence[Candidate]) -> NoPlanFits:
    """What the smallest plan would need if there were no limits."""
    endless = Limits((maxsize,) * len(problem.limits.bytes))
    plan = Combination(problem.rank, endless, Objective.FLASH, found).smallest()
    draft = draft_graph(problem.graph, problem.target, plan or problem.rank)
    return NoPlanFits(draft, problem.limits, found)


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
    whole = _Whole(problem)
    strict, loose = (Combination(problem.rank, x, objective, found) for x in _limits(problem))
    best = whole.best(strict) + (whole.best(loose) if loose.groups != strict.groups else [])
    tried = whole.run(_unique([*best, *_smallest(problem, found)]))
    if not tried:
        raise _misfit(problem, found)
    if all(objective.of(cost) == inf for _, cost in tried):
        raise HarnessError(f"no plan of {problem.graph.name} has a known bound: see fit --worst")
    taken, _ = min(tried, key=lambda one: (objective.of(one[1]), one[1].flash))
    return Search(taken, found, tuple(Tried(plan, cost, plan is taken) for plan, cost in tried))


@dataclass(frozen=True, eq=False)
class _Whole:
    """Runs whole plans."""

    problem: Problem

    def best(self, combination: Combination) -> list[Plan]:
        """The knapsack's best that fit, the last found first.

        Sums of layers alone are some bytes off, so the knapsack is packed again, with less capacity
        by what all plans lack, or with more by what the first leaves free.
        """
        limits = self.problem.limits
        capacity = limits.bytes[0] - self.problem.by_rank.rest
        fitting: list[Plan] = []
        tried: set[int] = set()
        while capacity not in tried and len(tried) < _ROUNDS:
            tried.add(capacity)
            plans = combination.best(capacity, BEST)
            fitting = [plan for plan in plans if self._excess(plan, limits) <= 0] + fitting
            excess = [self._excess(plan, limits.of_code) for plan in plans]
            least = min(excess, default=0)
            capacity -= least if least > 0 else min([*excess[:1], 0])
        return _unique(fitting)[: 2 * BEST]

    def run(self, plans: Sequence[Plan]) -> list[tuple[Plan, Cost]]:
        """Those that are within the limits, and what they cost."""
        tried = []
        for number, plan in enumerate(plans):
            self.problem.progress("whole plans", number, len(plans))
            cost = self._cost(plan)
            if isinstance(cost, Cost) and self.problem.limits.excess(cost.needed) <= 0:
                tried.append((plan, cost))
        return tried

    def _cost(self, plan: Plan) -> Cost | Refused:
        problem = self.problem
        cost = program_cost(problem.work, plan, problem.target, problem.cache)
        return problem.bounded(cost, problem.work, plan)

    def _excess(self, plan: Plan, limits: Limits) -> int:
        problem = self.problem
        size = program_size(problem.work, plan, problem.target, problem.cache)
        return maxsize if isinstance(size, Refused) else limits.excess(size.needed)


def _unique(plans: Sequence[Plan]) -> list[Plan]:
    kept: list[Plan] = []
    for plan in plans:
        if plan not in kept:
            kept.append(plan)
    return kept
