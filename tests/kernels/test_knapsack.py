"""The knapsack against trying everything."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.knapsack import Item, cheapest, smallest

SHARED = {"squares": 5, "popcount": 3}
ITEMS = st.builds(
    Item, st.integers(0, 9), st.integers(0, 9), st.frozensets(st.sampled_from(sorted(SHARED)))
)
GROUPS = st.lists(st.lists(ITEMS, max_size=4), min_size=1, max_size=4)


def everything(groups: list[list[Item]], capacity: int) -> list[tuple[float, int]]:
    """Cost and size of every pick that fits, cheapest first."""
    found = []
    for items in product(*groups):
        parts = frozenset().union(*(item.shared for item in items))
        size = sum(item.size for item in items) + sum(SHARED[part] for part in parts)
        if size <= capacity:
            found.append((sum(item.cost for item in items), size))
    return sorted(found)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(groups=GROUPS, capacity=st.integers(0, 40), count=st.integers(1, 6))
def test_the_best_picks_are_found(groups: list[list[Item]], capacity: int, count: int) -> None:
    found, less = cheapest(groups, [capacity, capacity - 7], SHARED, count)
    assert [pick.cost for pick in less] == [c for c, _ in everything(groups, capacity - 7)][:count]
    want = everything(groups, capacity)
    assert [pick.cost for pick in found] == [cost for cost, _ in want[:count]]
    assert len({pick.indices for pick in found}) == len(found)
    for pick in found:
        items = [group[index] for group, index in zip(groups, pick.indices, strict=True)]
        parts = frozenset().union(*(item.shared for item in items))
        size = sum(item.size for item in items) + sum(SHARED[part] for part in parts)
        assert (pick.size, pick.cost) == (size, sum(item.cost for item in items))
        assert size <= capacity


@settings(derandomize=True, deadline=None, max_examples=300)
@given(groups=GROUPS)
def test_the_smallest_pick_is_found(groups: list[list[Item]]) -> None:
    found = smallest(groups, SHARED)
    sizes = [size for _, size in everything(groups, 1000)]
    assert (None if found is None else found.size) == min(sizes, default=None)


@pytest.mark.parametrize(
    ("capacity", "picked"), [(20, (1, 1)), (19, (1, 0)), (10, (0, 0)), (9, None)]
)
def test_a_tighter_capacity_costs(capacity: int, picked: tuple[int, ...] | None) -> None:
    groups = [[Item(5, 100), Item(8, 10)], [Item(5, 50), Item(12, 30)]]
    (found,) = cheapest(groups, [capacity])
    assert [pick.indices for pick in found] == ([] if picked is None else [picked])


def test_shared_bytes_are_paid_once() -> None:
    with_table = Item(2, 1, frozenset({"squares"}))
    groups = [[Item(4, 9), with_table], [Item(4, 9), with_table]]
    (nine,), (eight,) = cheapest(groups, [9, 8], SHARED)
    assert (nine.indices, eight.indices) == ((1, 1), (0, 0))


def test_many_groups_take_no_time() -> None:
    groups = [[Item(7 * n + g, 1000 / (n + 1)) for n in range(40)] for g in range(12)]
    ((best,),) = cheapest(groups, [1500])
    assert best.size <= 1500
