"""The multiple-choice knapsack: of each group one item, cheapest in all, within a capacity.

1. States are choices for the first groups: bytes and cost. The next group's items extend each.
2. A state is dropped where at least `count` others are no larger and no dearer: whatever extends it
   extends them, so none of the `count` best plans is lost, nor of those for less capacity.
3. Bytes that several items share are paid once: each set of shared parts that picks may need is
   tried by itself.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Item:
    """One way to serve a group. size: bytes of its own. shared: names of parts that it needs."""

    size: int
    cost: float
    shared: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Pick:
    """An item of each group, by index; bytes with shared parts, and cost, of all together."""

    indices: tuple[int, ...]
    size: int
    cost: float


def cheapest(
    groups: Sequence[Sequence[Item]],
    capacities: Sequence[int],
    shared: Mapping[str, int] | None = None,
    count: int = 1,
) -> list[list[Pick]]:
    """For each capacity the `count` cheapest picks within it, cheapest first; or all there are.

    shared: bytes of the parts that items name.
    """
    sizes = shared or {}
    found: dict[tuple[int, ...], Pick] = {}
    for parts in _unions(groups):
        paid = sum(sizes[part] for part in parts)
        for pick in _cheapest_with(groups, max(capacities), parts, paid, count):
            known = found.get(pick.indices)
            if known is None or pick.size < known.size:
                found[pick.indices] = pick
    picks = sorted(found.values(), key=lambda pick: (pick.cost, pick.size, pick.indices))
    return [[pick for pick in picks if pick.size <= most][:count] for most in capacities]


def smallest(
    groups: Sequence[Sequence[Item]], shared: Mapping[str, int] | None = None
) -> Pick | None:
    """The pick of the fewest bytes, the cheapest among equals; None if a group has no item."""
    if not all(groups):
        return None
    sizes = shared or {}
    found = []
    for parts in _unions(groups):
        usable = [[item for item in group if item.shared <= parts] for group in groups]
        if all(usable):
            items = [min(group, key=lambda item: (item.size, item.cost)) for group in usable]
            size = sum(item.size for item in items) + sum(sizes[part] for part in parts)
            indices = tuple(g.index(item) for g, item in zip(groups, items, strict=True))
            found.append(Pick(indices, size, sum(item.cost for item in items)))
    return min(found, key=lambda pick: (pick.size, pick.cost))


def _unions(groups: Sequence[Sequence[Item]]) -> list[frozenset[str]]:
    """Every set of parts that some pick needs, smaller ones first."""
    found: set[frozenset[str]] = {frozenset()}
    for group in groups:
        kinds = {item.shared for item in group}
        found = {parts | kind for parts in found for kind in kinds}
    return sorted(found, key=lambda parts: (len(parts), sorted(parts)))


def _cheapest_with(
    groups: Sequence[Sequence[Item]], capacity: int, parts: frozenset[str], paid: int, count: int
) -> list[Pick]:
    states = [Pick((), paid, 0.0)]
    for group in groups:
        usable = [(index, item) for index, item in enumerate(group) if item.shared <= parts]
        states = _undominated(
            [
                Pick((*state.indices, index), state.size + item.size, state.cost + item.cost)
                for state in states
                for index, item in usable
                if state.size + item.size <= capacity
            ],
            count,
        )
    return states if paid <= capacity else []


def _undominated(states: list[Pick], count: int) -> list[Pick]:
    """States that fewer than `count` others are at least as good as."""
    kept: list[Pick] = []
    costs: list[float] = []  # of those kept, ascending
    for state in sorted(states, key=lambda pick: (pick.size, pick.cost, pick.indices)):
        if bisect_right(costs, state.cost) < count:
            kept.append(state)
            insort(costs, state.cost)
    return kept
