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
MANY = 12  # the same of plain choices: each is of another kind
KINDS = 16  # of plans, by their encodings, of which one each is run
REFINED = 3  # kinds for which the knapsack is packed again
_ROUNDS = 8
_NEAR = range(2048, -2049, -256)  # bytes by which sums of layers may be off
_PARTS = (17, 16, 15, 14)  # of 16, the same where layers are large


@dataclass(frozen=True, eq=False)
class Whole:
    """Drafts and runs whole plans. limits: the problem's, or lower ones."""

    problem: Problem
    limits: Limits

    def best(self, combination: Combination) -> list[Plan]:
        """The plans that fit of those that promise most.

        Sums of layers are off, in bytes and in cycles, by what the encodings that meet save or
        cost. So the knapsack is packed for many capacities; the best plan of each kind, an encoding
        for each layer, is run, and the knapsack is packed again for the best kinds.
        """
        capacity = self.limits.bytes[0] - self.problem.by_rank.rest
        found = self._fitting(self._proposed(combination, capacity), combination)
        first: dict[str, Plan] = {}
        for plan in found:
            first.setdefault(str(encodings_of(plan)), plan)
        kinds = self.run(list(first.values())[:KINDS])
        kinds.sort(key=lambda one: combination.objective.of(one[1]))
        best = [combination.only(encodings_of(plan)) for plan, _ in kinds[:REFINED]]
        refined = (self._fitting(self._packed(one, capacity), one)[:BEST] for one in best)
        return unique([*(plan for plan, _ in kinds), *chain(*refined)])

    def _proposed(self, combination: Combination, capacity: int) -> list[Plan]:
        """The knapsack's best, of all choices and of plain ones, for more capacity and for less."""
        plain = combination.plain()
        near = combination.best([capacity + off for off in _NEAR], BEST)
        many = plain.best([capacity * part // 16 for part in _PARTS], MANY)
        return [
            *chain(*near, *many),
            *self._packed(combination, capacity),
            *self._packed(plain, capacity),
        ]

    def _fitting(self, plans: Sequence[Plan], combination: Combination) -> list[Plan]:
        """Those that fit, the most promising first."""
        fit = [plan for plan in unique(plans) if self.excess(plan) <= 0]
        return sorted(fit, key=combination.promise)

    def _packed(self, combination: Combination, capacity: int) -> list[Plan]:
        """The knapsack's best, packed again with less capacity by what all of these lack.

        Or with more, by what the first leaves free.
        """
        tried: set[int] = set()
        found: list[Plan] = []
        while capacity not in tried and len(tried) < _ROUNDS:
            tried.add(capacity)
            (plans,) = combination.best([capacity], BEST)
            found += plans
            excess = [self._excess(plan, self.limits.of_code) for plan in plans]
            least = min(excess, default=0)
            capacity -= least if least > 0 else min([*excess[:1], 0])
        return found

    def run(self, plans: Sequence[Plan]) -> list[tuple[Plan, Cost]]:
        """Those that are within the limits, and what they cost."""
        tried = []
        for number, plan in enumerate(plans):
            self.problem.progress("whole plans", number, len(plans))
            cost = self._cost(plan)
            if isinstance(cost, Cost) and self.limits.excess(cost.needed) <= 0:
                tried.append((plan, cost))
        return tried

    def excess(self, plan: Plan) -> int:
        """Bytes too many of the memory that is exceeded most."""
        return self._excess(plan, self.limits)

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
