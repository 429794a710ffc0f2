"""From candidates for each layer to whole plans: what adds up, what is shared, what fits.

Sums are estimates: a layer's cost depends a little on its neighbours, and sizes on alignment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import numpy as np

from harness.costs import Cost, Refused, Size
from harness.limits import Limits
from kernels.choice import Choice
from kernels.knapsack import Item, Pick, cheapest, smallest

Plan = dict[str, Choice]

POOL = 16  # picks of a knapsack that are put in order again by what they cost together


class Objective(StrEnum):
    """What is to be as small as can be: of cycles over the calibration inputs, or their bound."""

    MEAN = "mean"
    P95 = "p95"
    MAX = "max"
    BOUND = "bound"
    FLASH = "flash"

    def of(self, cost: Size) -> float:
        """That figure of a cost; of a size only bytes are known."""
        if self is Objective.FLASH:
            return float(cost.flash)
        assert isinstance(cost, Cost)
        if self is Objective.BOUND:
            return cost.bound
        return {Objective.MEAN: cost.mean, Objective.P95: cost.p95, Objective.MAX: cost.max}[self]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to hold a layer's weights, and what it costs there; its size, if it was not run."""

    layer: str
    choice: Choice
    cost: Size | Refused


@dataclass(frozen=True, eq=False)
class Combination:
    """Candidates for layers, to be combined. rank: each one's first in rank.

    limits: what no candidate may exceed alone. Of SRAM a layer alone may take more than within a
    network, so there may be none.
    """

    rank: Plan
    limits: Limits
    objective: Objective
    found: Sequence[Candidate]

    @cached_property
    def groups(self) -> dict[str, list[tuple[Choice, Size]]]:
        """Candidates that can be had, by layer; only those that were run, if cycles count."""
        kind = Size if self.objective is Objective.FLASH else Cost
        groups: dict[str, list[tuple[Choice, Size]]] = {layer: [] for layer in self.rank}
        for one in self.found:
            if isinstance(one.cost, kind) and self._may_fit(one.cost):
                groups[one.layer].append((one.choice, one.cost))
        return groups

    def _may_fit(self, cost: Size) -> bool:
        """Whether a layer may; what alignment skips of code memory may be filled by others."""
        return self.limits.excess((cost.flash, *cost.needed[1:])) <= 0

    def best(self, capacities: Sequence[int], count: int) -> list[list[Plan]]:
        """For each capacity the `count` plans that promise most of all that take no more bytes."""
        wanted = POOL if self._by_input else count
        found = cheapest(self._items, capacities, self._common, wanted)
        plans = [[self._plan(pick) for pick in picks] for picks in found]
        return (
            [sorted(some, key=self.promise)[:count] for some in plans] if self._by_input else plans
        )

    def promise(self, plan: Plan) -> float:
        """The objective of a plan by its layers' costs alone."""
        costs = [dict(self.groups[layer])[choice] for layer, choice in plan.items()]
        if self._by_input:
            return self._together([cost for cost in costs if isinstance(cost, Cost)])
        return sum(map(self.objective.of, costs))

    def plain(self) -> Combination:
        """The same without variants of encodings."""
        return replace(
            self, found=[one for one in self.found if one.choice == Choice(one.choice.encoding)]
        )

    def smallest(self) -> Plan | None:
        """The plan of the fewest bytes; None where a layer cannot be had."""
        pick = smallest(self._items, self._common)
        return None if pick is None else self._plan(pick)

    def uniform(self) -> list[Plan]:
        """For each encoding: it for all layers that it serves, the first in rank for the others."""
        names = sorted({one.choice.encoding for one in self.found})
        return [self._of_one(name) for name in names]

    def only(self, encodings: Mapping[str, str]) -> Combination:
        """The same with one encoding for each layer."""
        found = [one for one in self.found if encodings[one.layer] == one.choice.encoding]
        return replace(self, found=found)

    def _of_one(self, encoding: str) -> Plan:
        plan = dict(self.rank)
        plain = Choice(encoding)
        return plan | {one.layer: plain for one in self.found if one.choice == plain}

    @property
    def _by_input(self) -> bool:
        """Whether p95 or max is wanted: those of layers do not add up."""
        return self.objective in (Objective.P95, Objective.MAX)

    def _together(self, costs: Sequence[Cost]) -> float:
        """Of cycles added input by input."""
        runs = min(len(cost.cycles) for cost in costs)
        total = np.sum([cost.cycles[:runs] for cost in costs], axis=0)
        return self.objective.of(Cost(0, {}, (), 0, {}, 0, tuple(total.tolist())))

    @cached_property
    def _common(self) -> Mapping[str, int]:
        """Bytes of the parts that candidates of more than one layer use, by symbol."""
        users: dict[str, set[str]] = {}
        sizes: dict[str, int] = {}
        for layer, group in self.groups.items():
            for _, cost in group:
                for symbol, size in cost.shared.items():
                    users.setdefault(symbol, set()).add(layer)
                    sizes[symbol] = max(sizes.get(symbol, 0), size)
        return {symbol: sizes[symbol] for symbol, layers in users.items() if len(layers) > 1}

    @cached_property
    def _items(self) -> list[list[Item]]:
        """Candidates for the knapsack; what no other layer shares is a layer's own."""
        return [[self._item(cost) for _, cost in group] for group in self.groups.values()]

    def _item(self, cost: Size) -> Item:
        own = sum(size for symbol, size in cost.shared.items() if symbol not in self._common)
        parts = frozenset(symbol for symbol in cost.shared if symbol in self._common)
        return Item(cost.flash + own, self.objective.of(cost), parts)

    def _plan(self, pick: Pick) -> Plan:
        chosen = zip(self.groups.items(), pick.indices, strict=True)
        return {layer: group[index][0] for (layer, group), index in chosen}


def encodings_of(plan: Plan) -> dict[str, str]:
    """A plan's encodings, by layer."""
    return {layer: choice.encoding for layer, choice in plan.items()}
