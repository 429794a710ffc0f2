"""The fastest plan that fits: candidates are measured, a knapsack combines them, plans are run.

1. Where the first plan in rank does not fit, bytes come first: drafts say whether any plan does.
2. Each layer with weights is compiled and run alone with each candidate.
3. A knapsack finds the plans with the least sum within the flash that is left to these layers.
4. The best few plans and those of a single encoding are drafted whole, run whole, and the best of
   them is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from sys import maxsize
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.bounded import with_bound
from harness.cache import Cache
from harness.candidates import Candidates, weighted_layers
from harness.combine import Candidate, Combination, Objective, Plan
from harness.costs import (
    Cost,
    Refused,
    Size,
    Workload,
    layer_cost,
    layer_size,
    layer_workload,
    program_cost,
    program_size,
)
from harness.errors import HarnessError
from harness.limits import Limits
from harness.progress import Progress, silent
from kernels import reference
from kernels.choice import Choice, Choices, as_choice
from kernels.compile import decide, draft_graph, lower
from kernels.draft import Draft
from kernels.errors import DoesNotFit, Unsupported
from kernels.ir import Graph, verify
from kernels.plan import Plan as Decided
from kernels.target import Target

CALIBRATION = 24  # inputs that are run
PROFILED = 1024  # inputs whose activations tell which columns are hot
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


@dataclass(frozen=True, eq=False)
class Problem:
    """What is searched, and what for. given: choices that are fixed."""

    graph: Graph
    target: Target
    inputs: NDArray[Any]
    limits: Limits
    given: Mapping[str, Choice]
    objective: Objective = Objective.MEAN
    cache: Cache = field(default_factory=Cache)
    progress: Progress = silent

    @cached_property
    def lowered(self) -> Graph:
        """What choices are about."""
        verify(self.graph)
        return lower(self.graph)

    @cached_property
    def rank(self) -> Plan:
        """Each layer's first choice in rank."""
        return dict(self._decided.choices)

    @cached_property
    def by_rank(self) -> Size:
        """What that plan takes; Unsupported where it cannot be had."""
        size = program_size(self.work, self.rank, self.target, self.cache)
        if isinstance(size, Refused):
            raise Unsupported(size.problem)
        return size

    @property
    def fits_by_rank(self) -> bool:
        """Whether that plan fits."""
        return self.limits.excess(self.by_rank.needed) <= 0

    @cached_property
    def work(self) -> Workload:
        """The whole graph on the calibration inputs."""
        return Workload(self.graph, spread(self.inputs, CALIBRATION))

    @cached_property
    def layers(self) -> list[tuple[str, Workload, list[Choice]]]:
        """Of each layer with weights: it alone on the calibration inputs, and its candidates."""
        ranges = self._decided.ranges
        profiled = reference.run(self.lowered, spread(self.inputs, PROFILED))
        finder = Candidates(self.target, ranges, profiled)
        values = reference.run(self.lowered, self.work.inputs)
        found = []
        for layer in weighted_layers(self.lowered):
            work = layer_workload(self.lowered, layer, ranges[layer.input.name], values)
            fixed = [self.given[layer.name]] if layer.name in self.given else None
            found.append((layer.name, work, fixed or finder.of(layer)))
        return found

    def bounded(self, cost: Cost | Refused, work: Workload, plan: Plan) -> Cost | Refused:
        """A cost with its bound, if that is what is to be small."""
        if isinstance(cost, Refused) or self.objective is not Objective.BOUND:
            return cost
        return with_bound(cost, work, plan, self.target, self.cache)

    @cached_property
    def _decided(self) -> Decided:
        return decide(self.lowered, self.target, self.given)


def spread(inputs: NDArray[Any], count: int) -> NDArray[Any]:
    """`count` of the inputs, evenly spread, the first and the last among them; all if fewer."""
    if len(inputs) <= count:
        return inputs
    return inputs[np.linspace(0, len(inputs) - 1, count).round().astype(np.int64)]


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
    choices = [
        (layer, work, choice)
        for layer, work, choices in problem.layers
        for choice in choices
        if choice == Choice(choice.encoding) or layer in problem.given
    ]
    found = []
    for number, (layer, work, choice) in enumerate(choices):
        problem.progress("sizes", number, len(choices))
        size = layer_size(work, choice, problem.target, problem.cache)
        found.append(Candidate(layer, choice, size))
    for plan in _smallest(problem, found):
        size = program_size(problem.work, plan, problem.target, problem.cache)
        if isinstance(size, Size) and problem.limits.excess(size.needed) <= 0:
            return plan
    raise _misfit(problem, found)


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
    """Every candidate of every layer, measured."""
    done, total = 0, sum(len(choices) for _, _, choices in problem.layers)
    for layer, work, choices in problem.layers:
        too_large: set[str] = set()
        for choice in choices:
            problem.progress("candidates", done, total)
            done += 1
            if choice.encoding in too_large:
                continue  # hot columns only make it larger
            cost = problem.bounded(
                layer_cost(work, choice, problem.target, problem.cache), work, {layer: choice}
            )
            yield Candidate(layer, choice, cost)
            if isinstance(cost, Refused) and cost.excess > 0 and not choice.hot:
                too_large.add(choice.encoding)


def _choose(problem: Problem) -> Search:
    """Measure, run the plans that may be best, and take the best."""
    found, objective = tuple(_measured(problem)), problem.objective
    whole = _Whole(problem)
    combinations = [Combination(problem.rank, x, objective, found) for x in _limits(problem)]
    best = [plan for one in combinations for plan in whole.best(one)]
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
