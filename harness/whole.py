"""Whole plans: which ones the knapsack proposes, whether they fit, what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from sys import maxsize
from typing import TypeVar

from harness.combine import Combination, Plan, encodings_of
from harness.costs import Cost, Refused, program_cost, program_size
from harness.limits import Limits
from harness.problem import Problem

T = TypeVar("T")

BEST = 4  # plans of the knapsack that are looked at
KINDS = 4  # of plans, by their encodings, that are refined
REFINED = 2  # plans of each kind that are run
_ROUNDS = 8
_OFF = range(2048, -2049, -256)  # bytes by which sums of layers may be off


@dataclass(frozen=True, eq=False)
class Whole:
    """Drafts and runs whole plans."""

    problem: Problem

    def best(self, combination: Combination) -> list[Plan]:
        """The plans that fit of those that promise most.

        Sums of layers are off by bytes that depend on the encodings that meet. So the knapsack is
        packed for many capacities, and then again for the encodings of the best that fit.
        """
        capacity = self.problem.limits.bytes[0] - self.problem.by_rank.rest
        capacities = [capacity + off for off in _OFF]
        found = (one.best(capacities, BEST) for one in (combination, combination.plain()))
        first = self._fitting(unique(chain(*chain(*found))), combination)
        kinds = unique([encodings_of(plan) for plan in first])[:KINDS]
        refined = (self._refined(combination.only(kind), capacity) for kind in kinds)
        return unique([*first[:BEST], *chain(*refined)])

    def _fitting(self, plans: Sequence[Plan], combination: Combination) -> list[Plan]:
        """Those that fit, the most promising first."""
        return sorted((one for one in plans if self.excess(one) <= 0), key=combination.promise)

    def _refined(self, combination: Combination, capacity: int) -> list[Plan]:
        """The most promising of those that fit of plans with the same encodings.

        The knapsack is packed again, with less capacity by what all plans lack, or with more by
        what the first leaves free.
        """
        tried: set[int] = set()
        found: list[Plan] = []
        while capacity not in tried and len(tried) < _ROUNDS:
            tried.add(capacity)
            (plans,) = combination.best([capacity], BEST)
            found += plans
            excess = [self._excess(plan, self.problem.limits.of_code) for plan in plans]
            least = min(excess, default=0)
            capacity -= least if least > 0 else min([*excess[:1], 0])
        return self._fitting(unique(found), combination)[:REFINED]

    def run(self, plans: Sequence[Plan]) -> list[tuple[Plan, Cost]]:
        """Those that are within the limits, and what they cost."""
        tried = []
        for number, plan in enumerate(plans):
            self.problem.progress("whole plans", number, len(plans))
            cost = self._cost(plan)
            if isinstance(cost, Cost) and self.problem.limits.excess(cost.needed) <= 0:
                tried.append((plan, cost))
        return tried

    def excess(self, plan: Plan) -> int:
        """Bytes too many of the memory that is exceeded most."""
        return self._excess(plan, self.problem.limits)

    def _excess(self, plan: Plan, limits: Limits) -> int:
        problem = self.problem
        size = program_size(problem.work, plan, problem.target, problem.cache)
        return maxsize if isinstance(size, Refused) else limits.excess(size.needed)

    def _cost(self, plan: Plan) -> Cost | Refused:
        problem = self.problem
        cost = program_cost(problem.work, plan, problem.target, problem.cache)
        return problem.bounded(cost, problem.work, plan)


def unique(things: Iterable[T]) -> list[T]:
    """Each once, in the order of their first."""
    kept: list[T] = []
    for thing in things:
        if thing not in kept:
            kept.append(thing)
    return kept
