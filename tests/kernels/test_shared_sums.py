"""Shared sums: expanding gives back the matrix, and starts add up; one small matrix by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.shared_sums import Merge, Sharing, share


def matrices(seed: int) -> NDArray[np.int8]:
    rng = np.random.default_rng(seed)
    rows, inputs = (int(n) for n in rng.integers(1, 30, 2))
    weights = rng.integers(-2, 2, (rows, inputs), np.int8, endpoint=True)
    weights[rng.random(weights.shape) < rng.choice([0.0, 0.5, 0.9])] = 0
    return weights


def evaluated(sharing: Sharing, starts: NDArray[np.int64], x: NDArray[np.int64]) -> list[int]:
    """What a kernel does: all sums, then the merges."""
    sums = starts + sharing.weights @ x
    for merge in sharing.merges:
        sums[merge.one] += sums[merge.shared]
        sums[merge.other] += merge.sign * sums[merge.shared]
    given_rows = len(sums) - len(sharing.merges)
    return [int(value) for value in sums[:given_rows]]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(seed=st.integers(0, 1 << 32), merge=st.floats(0, 4), room=st.integers(0, 40))
def test_sharing_changes_nothing_but_the_work(seed: int, merge: float, room: int) -> None:
    weights, rng = matrices(seed), np.random.default_rng(seed)
    rates = rng.random(weights.shape[1])
    sharing = share(weights, rates, merge, room)
    assert len(sharing.merges) <= room
    np.testing.assert_array_equal(sharing.expanded(), weights)
    wanted = rng.integers(-99, 99, len(weights))
    x = rng.integers(-300, 300, weights.shape[1])
    expected = wanted + weights.astype(np.int64) @ x
    assert evaluated(sharing, sharing.starts(wanted, 128), x) == expected.tolist()
    before, after = (np.abs(w) @ rates for w in (weights, sharing.weights))
    assert after.sum() + merge * len(sharing.merges) <= before.sum() + 1e-9


def test_by_hand() -> None:
    weights = np.array([[1, -1, 1, 0], [1, -1, 0, 1], [-1, 1, 0, 0]], np.int8)
    sharing = share(weights, np.ones(4), 1.5, 9)
    # Rows 0 and 1 agree in two columns; what they share is opposite to all of row 2.
    assert sharing.merges == (Merge(4, 2, 3, -1), Merge(3, 0, 1, 1))
    assert sharing.weights.tolist() == [
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [-1, 1, 0, 0],
    ]
    np.testing.assert_array_equal(sharing.expanded(), weights)
    assert share(weights, np.ones(4), 2, 9).merges == ()
    assert share(weights, np.ones(4), 1.5, 0).merges == ()


def test_rows_move_behind_a_gap() -> None:
    assert Merge(5, 2, 4, -1).moved(3, 2) == Merge(7, 2, 6, -1)


def test_merges_into_shared_rows_may_take_more() -> None:
    """Rows in pairs that have much in common, pairs that have some: the latter share in turn."""
    halves = [[1] * 8 + [0] * 4, [0] * 4 + [1] * 8]
    weights = np.array([halves[0], halves[0], halves[1], halves[1]], np.int8)
    rates = np.ones(12)
    deep = share(weights, rates, 1.5, 9)
    assert max(max(merge.one, merge.other) for merge in deep.merges) >= 4
    flat = share(weights, rates, 1.5, 9, deeper=9.0)
    assert [max(merge.one, merge.other) < 4 for merge in flat.merges] == [True] * 2
    for sharing in (deep, flat):
        assert np.array_equal(sharing.expanded(), weights)
