"""The fastest plan that fits: candidates are measured, a knapsack combines them, plans are run.

1. Each layer with weights is compiled and run alone with each candidate.
2. A knapsack finds the plans with the least sum within the flash that is left to these layers.
3. A layer's cost depends a little on its neighbours, and sizes on alignment, so the best few plans
   and those of a single encoding are drafted whole, run whole, and the best of them is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cache import Cache
from harness.candidates import Candidates, weighted_layers
from harness.costs import Cost, Refused, Workload, layer_cost, layer_workload, program_cost
from harness.limits import Limits
from kernels import reference
from kernels.choice import Choice, Choices, as_choice
from kernels.compile import draft_graph
from kernels.draft import Draft
from kernels.errors import DoesNotFit
from kernels.ir import Graph
from kernels.knapsack import Item, Pick, cheapest, smallest
from kernels.target import Target

CALIBRATION = 24  # inputs that are run
PROFILED = 1024  # inputs whose activations tell which columns are hot
BEST = 4  # plans of the knapsack that are run whole
_ROUNDS = 8

Plan = dict[str, Choice]


class Objective(StrEnum):
    """What is to be as small as can be, over the calibration inputs."""

    MEAN = "mean"
    P95 = "p95"
    MAX = "max"
    FLASH = "flash"

    def of(self, cost: Cost) -> float:
        """That figure of a cost."""
        return {
            Objective.MEAN: cost.mean,
            Objective.P95: cost.p95,
            Objective.MAX: cost.max,
            Objective.FLASH: float(cost.flash),
        }[self]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to hold a layer's weights, and what it costs there."""

    layer: str
    choice: Choice
    cost: Cost | Refused


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

    def __init__(self, draft: Draft, limits: Limits, candidates: tuple[Candidate, ...]) -> None:
        super().__init__(draft.target.name, limits.budgets(draft))
        self.draft, self.candidates = draft, candidates


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
) -> Search:
    """The best plan within limits. fixed: choices of layers that are not to be searched.

    Raises NoPlanFits, with the smallest plan, where none fits, and CompilerError.
    """
    cache = cache or Cache()
    given = {name: as_choice(choice) for name, choice in (fixed or {}).items()}
    base = draft_graph(graph, target, given)
    found = tuple(_measured(base, inputs, given, cache))
    work = Workload(graph, spread(inputs, CALIBRATION))
    return _Searcher(base, work, limits, objective, cache, found).choose()


def _measured(
    base: Draft, inputs: NDArray[Any], given: Mapping[str, Choice], cache: Cache
) -> Iterator[Candidate]:
    """Every candidate of every layer, measured."""
    lowered, target = base.lowered, base.target
    profiled = reference.run(lowered, spread(inputs, PROFILED))
    finder = Candidates(base, profiled, cache)
    values = reference.run(lowered, spread(inputs, CALIBRATION))
    for layer in weighted_layers(lowered):
        work = layer_workload(lowered, layer, base.plan.ranges[layer.input.name], values)
        fixed = [given[layer.name]] if layer.name in given else None
        too_large: set[str] = set()
        for choice in fixed or finder.of(layer, work.graph):
            if choice.encoding in too_large:
                continue  # hot columns only make it larger
            cost = layer_cost(work, choice, target, cache)
            yield Candidate(layer.name, choice, cost)
            if isinstance(cost, Refused) and cost.excess > 0 and not choice.hot:
                too_large.add(choice.encoding)


@dataclass(frozen=True, eq=False)
class _Searcher:
    """Combines candidates."""

    base: Draft
    work: Workload
    limits: Limits
    objective: Objective
    cache: Cache
    found: tuple[Candidate, ...]

    def choose(self) -> Search:
        """Run the plans that may be best, and take the best."""
        tried = [
            (plan, cost)
            for plan in self._promising()
            if isinstance(cost := self._run(plan), Cost) and self.limits.excess(cost.needed) <= 0
        ]
        if not tried:
            raise self._misfit()
        best, _ = min(tried, key=lambda one: (self.objective.of(one[1]), one[1].flash))
        return Search(best, self.found, tuple(Tried(p, c, p is best) for p, c in tried))

    def _promising(self) -> list[Plan]:
        """The smallest plan, the knapsack's best, and those of one encoding wherever it serves."""
        plans = [self._plan(pick) for pick in self._picks()]
        smallest = self._smallest()
        names = {one.choice.encoding for one in self.found}
        uniform = [self._uniform(name) for name in sorted(names)]
        return _unique([*plans, *([] if smallest is None else [smallest]), *uniform])

    def _picks(self) -> list[Pick]:
        """The knapsack's best, of which one fits: padding may make a plan larger than its sum."""
        capacity = self.limits.bytes[0] - self._fixed_bytes()
        picks: list[Pick] = []
        for _ in range(_ROUNDS):
            picks = cheapest(self._items(), capacity, self._common, BEST)
            excess = min((self._excess(self._plan(pick)) for pick in picks), default=0)
            if excess <= 0:
                break
            capacity -= excess
        return picks

    def _run(self, plan: Plan) -> Cost | Refused:
        return program_cost(self.work, plan, self.base.target, self.cache)

    def _excess(self, plan: Plan) -> int:
        cost = self._run(plan)
        return cost.excess if isinstance(cost, Refused) else self.limits.excess(cost.needed)

    def _fixed_bytes(self) -> int:
        """What is not the weighted layers' or shared, in the memory that holds the image."""
        draft = self.base
        layers = sum(draft.size_of(layer.name) for layer in weighted_layers(draft.lowered))
        parts = sum(part.size for part in draft.parts if part.name in draft.shared)
        return draft.budgets[0].needed - layers - parts

    @cached_property
    def _groups(self) -> dict[str, list[tuple[Choice, Cost]]]:
        """Candidates that can be had, by layer."""
        groups: dict[str, list[tuple[Choice, Cost]]] = {
            node.name: [] for node in weighted_layers(self.base.lowered)
        }
        for one in self.found:
            if isinstance(one.cost, Cost) and self.limits.excess(one.cost.needed) <= 0:
                groups[one.layer].append((one.choice, one.cost))
        return groups

    @cached_property
    def _common(self) -> dict[str, int]:
        """Bytes of the parts that candidates of more than one layer use, by symbol."""
        users: dict[str, set[str]] = {}
        sizes: dict[str, int] = {}
        for layer, group in self._groups.items():
            for _, cost in group:
                for symbol, size in cost.shared.items():
                    users.setdefault(symbol, set()).add(layer)
                    sizes[symbol] = max(sizes.get(symbol, 0), size)
        return {symbol: sizes[symbol] for symbol, layers in users.items() if len(layers) > 1}

    def _items(self) -> list[list[Item]]:
        """Candidates for the knapsack; what no other layer shares is a layer's own."""
        return [[self._item(cost) for _, cost in group] for group in self._groups.values()]

    def _item(self, cost: Cost) -> Item:
        own = sum(size for symbol, size in cost.shared.items() if symbol not in self._common)
        parts = frozenset(symbol for symbol in cost.shared if symbol in self._common)
        return Item(cost.flash + own, self.objective.of(cost), parts)

    def _plan(self, pick: Pick) -> Plan:
        chosen = zip(self._groups.items(), pick.indices, strict=True)
        return {layer: group[index][0] for (layer, group), index in chosen}

    def _smallest(self) -> Plan | None:
        pick = smallest(self._items(), self._common)
        return None if pick is None else self._plan(pick)

    def _uniform(self, encoding: str) -> Plan:
        """One encoding for all layers that it serves, and the first in rank for the others."""
        plan = dict(self.base.plan.choices)
        for layer, group in self._groups.items():
            plain = [choice for choice, _ in group if choice == Choice(encoding)]
            plan[layer] = plain[0] if plain else plan[layer]
        return plan

    def _misfit(self) -> NoPlanFits:
        """What the smallest plan needs; or the first in rank, where a layer alone is too large."""
        plan = self._smallest() or dict(self.base.plan.choices)
        return NoPlanFits(
            draft_graph(self.base.graph, self.base.target, plan), self.limits, self.found
        )


def _unique(plans: Sequence[Plan]) -> list[Plan]:
    kept: list[Plan] = []
    for plan in plans:
        if plan not in kept:
            kept.append(plan)
    return kept
