"""Every encoding gives back the weights it was given; its layout, by hand on one small matrix."""

from collections.abc import Callable, Sequence
from itertools import product
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.dtypes import BIT, BYTES, DTYPES, INT8, UINT8, DType
from kernels.encodings import (
    bitmap,
    code,
    dense8,
    encodings,
    find_encoding,
    group_sums,
    index_lists,
    nibble_lists,
    packed1,
    packed2,
    packed4,
    paged_trits,
    pattern_lists,
    straight_line,
    threaded_gaps,
    threaded_lists,
    threaded_words,
    trits,
    twin_trits,
    value_lists,
    xnor,
)
from kernels.encodings.threaded_gaps import GapRun
from kernels.encodings.threaded_lists import Run
from kernels.errors import Unsupported

Weights = NDArray[np.int8]


def _by_outputs(module: ModuleType) -> Callable[[Weights], Weights]:
    return lambda weights: module.decode(module.encode(weights), len(weights))


def _nibble_lists(weights: Weights) -> Weights:
    size = nibble_lists.BLOCK
    every_third = frozenset(range(0, weights.shape[1], 3))
    rows = [weights[first : first + size] for first in range(0, len(weights), size)]
    back = [nibble_lists.decode(nibble_lists.encode(w, every_third), len(w)) for w in rows]
    return np.concatenate(back)


def _trits(weights: Weights) -> Weights:
    blocks = [trits.decode(trits.encode(rows)) for rows in trits.row_blocks(weights)]
    return np.concatenate(blocks)[: len(weights)]


def _twin_trits(weights: Weights) -> Weights:
    blocks = [twin_trits.decode(twin_trits.encode(rows)) for rows in twin_trits.ten_rows(weights)]
    return np.concatenate(blocks)[: len(weights)]


def _group_sums(weights: Weights) -> Weights:
    for size in range(1, 9):
        data = group_sums.encode(weights, size)
        back = group_sums.decode(data, weights.shape[1], size)
        if not np.array_equal(back, weights):
            return back
    return weights


def _threaded_lists(weights: Weights) -> Weights:
    for longest in (2, 4, 32):
        back = threaded_lists.decode(threaded_lists.encode(weights, longest), len(weights))
        if not np.array_equal(back, weights):
            return back
    return weights


def _threaded_words(weights: Weights) -> Weights:
    for longest in (2, 4, 32):
        back = threaded_words.decode(threaded_words.encode(weights, longest), len(weights))
        if not np.array_equal(back, weights):
            return back
    return weights


def _value_lists(weights: Weights) -> Weights:
    parts = np.split(weights, range(256, weights.shape[1], 256), axis=1)
    return np.hstack([value_lists.decode(value_lists.encode(part)) for part in parts])


def _pattern_lists(weights: Weights) -> Weights:
    values, columns = pattern_lists.values_of(weights), range(256, weights.shape[1], 256)
    for together in (1, 2):
        rows = np.split(weights, range(together, len(weights), together))
        blocks = [[pattern_lists.encode(b, values) for b in np.split(r, columns, 1)] for r in rows]
        back = np.vstack([np.hstack([pattern_lists.decode(b) for b in row]) for row in blocks])
        if not np.array_equal(back, weights):
            return back
    return weights


def _threaded_gaps(weights: Weights) -> Weights:
    columns = weights.shape[1]
    for hot in (set(), set(range(0, columns, 2)), set(range(columns))):
        data = threaded_gaps.encode(weights, 32, hot)
        assert threaded_gaps.size(data) <= threaded_lists.size(threaded_lists.encode(weights, 32))
        back = threaded_gaps.decode(data, len(weights))
        if not np.array_equal(back, weights):
            return back
    return weights


# Encodings differ in what they store beside the data, hence in how decoding is called.
ROUND_TRIPS: dict[str, tuple[ModuleType, Callable[[Weights], Weights], Sequence[int]]] = {
    bitmap.NAME: (bitmap, lambda w: bitmap.decode(bitmap.encode(w)), (-1, 0, 1)),
    code.NAME: (code, _by_outputs(code), range(-128, 128)),
    dense8.NAME: (dense8, _by_outputs(dense8), range(-128, 128)),
    group_sums.NAME: (group_sums, _group_sums, (-1, 1)),
    index_lists.NAME: (
        index_lists,
        lambda w: index_lists.decode(index_lists.encode(w)),
        range(-2, 3),
    ),
    nibble_lists.NAME: (nibble_lists, _nibble_lists, range(-2, 3)),
    packed1.NAME: (packed1, _by_outputs(packed1), (-1, 1)),
    packed2.NAME: (packed2, _by_outputs(packed2), range(-2, 2)),
    packed4.NAME: (packed4, _by_outputs(packed4), range(-8, 8)),
    paged_trits.NAME: (paged_trits, _trits, (-1, 0, 1)),
    pattern_lists.NAME: (pattern_lists, _pattern_lists, range(-4, 5)),
    straight_line.NAME: (
        straight_line,
        lambda w: straight_line.decode(straight_line.encode(w), len(w)),
        range(-2, 3),
    ),
    threaded_gaps.NAME: (threaded_gaps, _threaded_gaps, range(-2, 3)),
    threaded_lists.NAME: (threaded_lists, _threaded_lists, range(-2, 3)),
    threaded_words.NAME: (threaded_words, _threaded_words, range(-2, 3)),
    trits.NAME: (trits, _trits, (-1, 0, 1)),
    twin_trits.NAME: (twin_trits, _twin_trits, (-1, 0, 1)),
    value_lists.NAME: (value_lists, _value_lists, range(-8, 8)),
    xnor.NAME: (xnor, lambda w: xnor.decode(xnor.encode(w), w.shape[1]), (-1, 1)),
}
ALL_TRITS = (paged_trits.NAME, trits.NAME, twin_trits.NAME)
ALSO = dict.fromkeys(ALL_TRITS, (-2, 2))  # held, but not in any number
OF_24_BITS = (nibble_lists.NAME, straight_line.NAME, threaded_words.NAME, *ALL_TRITS)
LARGEST_BLOCK = {
    index_lists.NAME: index_lists.BLOCK,
    threaded_gaps.NAME: threaded_gaps.BLOCK,
    threaded_lists.NAME: threaded_lists.BLOCK,
}
READS: dict[str, Sequence[DType]] = {
    xnor.NAME: [BIT],
    group_sums.NAME: [UINT8, INT8],
    value_lists.NAME: [UINT8, INT8],
    pattern_lists.NAME: [UINT8, INT8],
}


def test_every_encoding_is_tested() -> None:
    assert {name: module for name, (module, _, _) in ROUND_TRIPS.items()} == encodings()
    assert all(find_encoding(name) is module for name, module in encodings().items())


@pytest.mark.parametrize("name", encodings())
@settings(derandomize=True, deadline=None, max_examples=100)
@given(data=st.data())
def test_decoding_gives_back_what_was_encoded(name: str, data: st.DataObject) -> None:
    module, round_trip, held = ROUND_TRIPS[name]
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=20))
    weights = data.draw(arrays(np.int8, shape, elements=st.sampled_from(held)))
    for source in READS.get(name, BYTES):
        assert module.problem(weights, 16, source) is None
    np.testing.assert_array_equal(round_trip(weights), weights)


@pytest.mark.parametrize("name", encodings())
@pytest.mark.parametrize("inputs", [1, 2, 255, 256, 257])
def test_large_blocks_and_extreme_weights(name: str, inputs: int) -> None:
    _, round_trip, held = ROUND_TRIPS[name]
    shape = LARGEST_BLOCK.get(name, 300), inputs
    rng = np.random.default_rng(inputs)
    for weights in (
        np.full(shape, held[0], np.int8),
        np.full(shape, held[-1], np.int8),
        np.full(shape, held[len(held) // 2], np.int8),
        rng.choice(np.array(held, np.int8), shape),
    ):
        np.testing.assert_array_equal(round_trip(weights), weights)


@pytest.mark.parametrize("name", encodings())
def test_weights_that_an_encoding_cannot_hold(name: str) -> None:
    module, _, held = ROUND_TRIPS[name]
    source = READS.get(name, BYTES)[0]
    for value in range(-128, 128):
        for row in ([value, held[0]], [held[-1], value]):
            problem = module.problem(np.array([row], np.int8), 16, source)
            assert (problem is None) == (value in (*held, *ALSO.get(name, ())))
            assert problem is None or str(value) in problem


@pytest.mark.parametrize("name", encodings())
def test_inputs_that_an_encoding_cannot_read(name: str) -> None:
    module, _, held = ROUND_TRIPS[name]
    weights = np.full((1, 1), held[0], np.int8)
    for source in DTYPES.values():
        problem = module.problem(weights, 16, source)
        assert (problem is None) == (source in READS.get(name, BYTES))
        assert problem is None or f"not of {source}" in problem


@pytest.mark.parametrize("name", encodings())
def test_accumulators_that_an_encoding_has(name: str) -> None:
    module, _, held = ROUND_TRIPS[name]
    weights, source = np.full((1, 1), held[0], np.int8), READS.get(name, BYTES)[0]
    assert module.problem(weights, 16, source) is module.problem(weights, 24, source) is None
    if name in {*LARGEST_BLOCK, *OF_24_BITS}:
        assert "at most 24 bits" in module.problem(weights, 32, source)
    else:
        assert module.problem(weights, 32, source) is None


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (packed4.encode(np.zeros((5, 7), np.int8)), 7 * 3),
        (packed2.encode(np.zeros((5, 7), np.int8)), 7 * 2),
        (packed1.encode(np.ones((9, 7), np.int8)), 7 * 2),
        (xnor.encode(np.ones((5, 9), np.int8)), 5 * 2),
        (group_sums.encode(np.ones((5, 9), np.int8), 4), 5 * 2),
        (group_sums.encode(np.ones((5, 9), np.int8), 6), 5 * 2),
        (group_sums.encode(np.ones((5, 13), np.int8), 6), 5 * 3),
    ],
)
def test_sizes(data: NDArray[np.uint8], size: int) -> None:
    assert data.shape == (size,)


def test_size_of_a_bitmap() -> None:
    assert bitmap.encode(np.zeros((9, 7), np.int8)).size == 14
    assert bitmap.encode(np.eye(9, 7, dtype=np.int8)).size == 14 + 1
    assert bitmap.encode(np.ones((9, 7), np.int8)).size == 14 + 8


def test_an_unknown_encoding_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        Unsupported, match="unknown encoding 'csr'; known encodings: bitmap, code, dense8"
    ):
        find_encoding("csr")


def test_dense8_puts_the_outputs_of_an_input_side_by_side() -> None:
    weights = np.array([[-128, 0], [127, 1], [-1, 2]], np.int8)
    assert dense8.encode(weights).tolist() == [0, 255, 127, 128, 129, 130]


def test_packed_weights_by_hand() -> None:
    assert packed4.encode(np.array([[-8], [7], [-1]], np.int8)).tolist() == [0xF0, 0x07]
    assert packed4.encode(np.array([[0, 1]], np.int8)).tolist() == [8, 9]
    assert packed2.encode(np.array([[1], [-2], [0], [-1], [1]], np.int8)).tolist() == [0x63, 3]
    ones = np.array([[1, -1], [-1, -1], *[[1, 1]] * 7], np.int8)
    assert packed1.encode(ones).tolist() == [0xFD, 1, 0xFC, 1]
    assert xnor.encode(np.array([[1, -1, 1], [-1, 1, 1]], np.int8)).tolist() == [5, 6]
    assert xnor.encode(np.ones((1, 9), np.int8)).tolist() == [255, 1]


def test_group_sums_by_hand() -> None:
    weights = np.array([[1, -1, -1, 1, -1, 1], [-1, -1, -1, -1, 1, -1]], np.int8)
    assert group_sums.encode(weights, 4).tolist() == [0x29, 0x10]
    assert group_sums.encode(weights, 6).tolist() == [0b101001, 0b010000]


def test_bitmap_by_hand() -> None:
    block = bitmap.encode(np.array([[1, 0, -1], [0, 0, -1], [-1, 0, 1]], np.int8))
    assert block.map.tolist() == [5, 0, 7]
    assert block.signs.tolist() == [0b01110]
    wide = bitmap.encode(np.full((9, 1), -1, np.int8))
    assert (wide.map.tolist(), wide.signs.tolist()) == ([255, 1], [255, 1])


def test_index_lists_by_hand() -> None:
    columns = index_lists.encode(np.array([[1, 0, -2], [2, 0, 1], [-1, 0, 0]], np.int8))
    assert (columns.outputs, columns.plus_end, columns.minus_end) == (3, 3, 4)
    assert columns.starts.tolist() == [0, 6, 8]
    lists = np.split(columns.data, columns.starts[1:])
    assert [column.tolist() for column in lists] == [[0, 1, 1, 3, 2, 4], [3, 4], [1, 3, 0, 0, 4]]


def test_threaded_lists_by_hand() -> None:
    weights = np.array([[1, 0, -2], [2, 0, 1], [-1, 1, 0], [-1, 1, 0]], np.int8)
    first, second, third = threaded_lists.encode(weights, 2)
    assert first == (
        Run(1, 2, held=False, last=False, data=(0, 1)),
        Run(1, 1, held=False, last=False, data=(1, 2)),  # 2 is the first that subtracts
        Run(-1, 2, held=True, last=True, data=(3,)),
    )
    assert second == (
        Run(1, 2, held=False, last=False, data=(2, 3)),
        Run(-1, 0, held=False, last=True, data=()),
    )
    assert third == (
        Run(1, 1, held=False, last=False, data=(1, 0)),
        Run(-1, 2, held=True, last=True, data=(0,)),
    )
    assert [(run.pairs, run.odd) for run in first] == [(1, False), (0, True), (0, True)]
    assert threaded_lists.size([first, second, third]) == 11 + 6 + 7


def test_nibble_lists_by_hand() -> None:
    weights = np.zeros((40, 2), np.int8)
    weights[[0, 3, 13, 14, 39], 0] = [1, -1, 1, 2, 1]
    weights[[1, 2], 1] = [-2, 1]
    nibbles, hot = nibble_lists.encode(weights, frozenset([1]))
    assert [nibble_lists.slot_of(output) for output in (0, 13, 14, 39)] == [0, 13, 15, 41]
    assert nibble_lists.slots(40) == 42
    gaps = [0, 13, 2, 0, 14, 12, 1, 0, 3, 11, 15, 14]  # by the dummies 29, 14 and 29
    pairs = [16 * high + low for high, low in zip(gaps[::2], gaps[1::2], strict=True)]
    assert (nibbles.data.tolist(), nibbles.hot) == (pairs, False)
    assert (hot.data.tolist(), hot.hot) == ([2, 42, 1, 1, 43], True)


def test_threaded_words_by_hand() -> None:
    """Each page's runs, and an index that the run of the page before brings."""
    weights = np.zeros((300, 3), np.int8)
    weights[[1, 2, 127, 128], 0] = [1, 1, 1, 1]
    weights[[1, 299], 1] = [-1, -2]
    first, second, third = threaded_words.encode(weights, 32)
    assert first == (
        Run(1, 3, False, False, (2, 4, 254, 0)),
        Run(-1, 0, False, False, (), onward=True),
        Run(1, 1, False, False, (0, 0)),
        Run(-1, 0, False, True, ()),
    )
    assert second == (
        Run(-1, 1, False, False, (2, 0), onward=True),
        Run(-1, 0, False, False, (), onward=True),
        Run(-1, 2, False, True, (86, 86)),
    )
    assert third == (Run(-1, 0, False, True, ()),)
    weights[128, 1] = 1
    _, second, _ = threaded_words.encode(weights, 32)
    assert second[:2] == (
        Run(-1, 1, False, False, (2, 0), onward=True),
        Run(1, 1, True, False, ()),
    )


def test_straight_line_by_hand() -> None:
    fragments = straight_line.encode(np.array([[1, 0, -2], [2, 0, 1], [-1, 0, 0]], np.int8))
    assert fragments == [
        ((0, 1), (1, 1), (1, 1), (2, -1)),
        (),
        ((0, -1), (0, -1), (1, 1)),
    ]


def test_trits_by_hand() -> None:
    block = trits.encode(np.array([[0, 1, 2, 1], [0, 0, 0, 1], [0] * 4, [0] * 4, [0] * 4], np.int8))
    empty, first, both = ((0,) * 5, (1, 0, 0, 0, 0), (1, 1, 0, 0, 0))
    codes = [trits.PATTERNS.index(pattern) for pattern in (empty, first, both)]
    assert block.codes.tolist() == [codes[0], codes[1], len(trits.PATTERNS), codes[2]]
    assert block.pairs.tolist() == [[codes[1], codes[1]]]


def test_twin_trits_by_hand() -> None:
    """A pair, a late code, and a late code that names a pair; the last input is plain."""
    weights = np.zeros((10, 4), np.int8)
    weights[0] = [2, 1, 2, 1]
    weights[5] = [1, -2, -2, 0]
    block = twin_trits.encode(weights)
    plus, minus = (trits.PATTERNS.index((sign, 0, 0, 0, 0)) for sign in (1, -1))
    pair = len(trits.PATTERNS)
    late = {code: pair + 1 + n for n, code in enumerate(sorted((plus, pair)))}
    assert block.codes.tolist() == [[pair, late[plus], late[pair], plus], [plus, minus, minus, 0]]
    assert block.pairs.tolist() == [[plus, plus]]
    assert block.late.tolist() == [[minus, plus], [minus, pair]]
    np.testing.assert_array_equal(twin_trits.decode(block), weights)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(data=st.data())
def test_trits_hold_some_twos(data: st.DataObject) -> None:
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=12))
    drawn = data.draw(arrays(np.int8, shape, elements=st.integers(-2, 2)))
    weights = np.where(np.arange(shape[0])[:, np.newaxis] % 5 < 3, drawn, np.sign(drawn))
    assert trits.problem(weights, 16, UINT8) is None
    np.testing.assert_array_equal(_trits(weights), weights)
    np.testing.assert_array_equal(_twin_trits(weights), weights)


def test_what_trits_do_not_hold() -> None:
    every = np.array(list(product(range(-2, 3), repeat=3)), np.int8).T
    assert "holds 34 patterns of +-2 or no zero for 5 outputs, not 98" in str(
        trits.problem(every, 16, UINT8)
    )
    heavy = np.full((5, 1), 2, np.int8)
    assert "cannot hold (2, 2, 2, 2, 2)" in str(trits.problem(heavy, 16, UINT8))
    heavy[4] = 0
    assert trits.problem(heavy, 16, UINT8) is None


def test_pattern_lists_by_hand() -> None:
    weights = np.array([[1, -1, 0, 0, 1], [1, 0, -1, 0, 1]], np.int8)
    block = pattern_lists.encode(weights, pattern_lists.values_of(weights))
    patterns = pattern_lists.patterns(block.values, block.rows)
    assert patterns == [
        *[(1, 1), (0, 1), (-1, 1)],
        *[(-1, 0), (0, 0), (1, 0)],
        *[(1, -1), (0, -1), (-1, -1)],
    ]
    lists = {patterns[n]: held.tolist() for n, held in enumerate(block.lists) if held.size}
    assert lists == {(1, 1): [0, 4], (-1, 0): [1], (0, -1): [2]}
    fall, rise = pattern_lists.Change(0, falls=True), pattern_lists.Change(0, falls=False)
    other = pattern_lists.Change(1, falls=True)
    changes = pattern_lists.changes(block.values, block.rows)
    assert changes == [fall, fall, other, rise, rise, other, fall, fall]


@pytest.mark.parametrize(
    ("weights", "values"),
    [
        ([-1, 1], [1, -1]),
        ([-2, 2], [2, -2]),
        ([2, -2, 0], [2, 0, -2]),
        ([-2, 1], [1, 0, -1, -2]),
        ([0, 0], [0, -1]),
        ([-4, -4], [-4, -5]),
        ([4, -4], [*range(4, -5, -1)]),
    ],
)
def test_steps_of_pattern_lists(weights: list[int], values: list[int]) -> None:
    assert list(pattern_lists.values_of(np.array([weights], np.int8))) == values


def test_threaded_gaps_by_hand() -> None:
    column = np.zeros((200, 1), np.int8)
    column[0:140:4], column[144], column[170] = -1, -2, -1
    column[[3, 20, 21]] = 1
    first, second = threaded_gaps.encode(np.repeat(column, 2, axis=1), 32, {1})
    assert first == (
        GapRun(1, 3, (0, 15, 2, 1), last=False),  # 18 lies between 3 and 20
        GapRun(-1, 0, (0, 4, 4, 4, 4, 2, 6, *[4] * 28, 8, 0), last=False),  # and is taken back
        GapRun(-1, 170, (0,), last=True),
    )
    plus, minus, end = (run.data for run in first if isinstance(run, GapRun))
    assert (plus, end) == ((0xF0, 0x12), (0x00, 0x00))
    assert minus == (0x00, 0x00, 0x44, 0x44, 0x62, *[0x44] * 14, 0x08)
    assert all(isinstance(run, Run) for run in second)


def test_gaps_are_taken_only_where_they_are_shorter() -> None:
    weights = np.zeros((250, 3), np.int8)
    weights[::4, 0], weights[[1, 200], 1], weights[::3, 2] = -1, -1, 1
    first, second, third = threaded_gaps.encode(weights, 32, set())
    assert [type(column[0]) for column in (first, second)] == [GapRun, Run]
    assert isinstance(third[0], Run)  # nothing subtracts, where a column of gaps would end


def test_gaps_too_wide_begin_a_run() -> None:
    weights = np.zeros((250, 1), np.int8)
    weights[[0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102, 103, 104, 105], 0] = 1
    weights[200:, 0] = -1
    (column,) = threaded_gaps.encode(weights, 32, set())
    adding = [run for run in column if run.sign > 0]
    assert [(run.first, len(run.gaps)) for run in adding if isinstance(run, GapRun)] == [
        (0, 8),
        (100, 6),
    ]


@pytest.mark.parametrize("outputs", [1, 5, index_lists.BLOCK])
def test_sentinels_are_no_output_and_fit_a_byte(outputs: int) -> None:
    columns = index_lists.encode(np.full((outputs, 2), -1, np.int8))
    assert columns.plus_end == outputs
    assert columns.minus_end == outputs + 1 <= 255
    ends = [*columns.starts[1:].tolist(), len(columns.data)]
    assert all(columns.data[end - 1] == columns.minus_end for end in ends)
    assert np.count_nonzero(columns.data == columns.plus_end) == 2
    assert np.count_nonzero(columns.data == columns.minus_end) == 2


@pytest.mark.parametrize(
    ("outputs", "largest", "sizes"),
    [
        (1, 10, [1]),
        (10, 10, [10]),
        (11, 10, [6, 5]),
        (21, 10, [7, 7, 7]),
        (23, 10, [8, 8, 7]),
        (255, 254, [128, 127]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_blocks_by_hand(outputs: int, largest: int, sizes: list[int]) -> None:
    assert blocks(outputs, largest) == sizes


@settings(derandomize=True, deadline=None, max_examples=100)
@given(outputs=st.integers(1, 1000), largest=st.integers(1, 300))
def test_blocks_are_few_equal_and_descending(outputs: int, largest: int) -> None:
    sizes = blocks(outputs, largest)
    assert sum(sizes) == outputs
    assert len(sizes) == -(-outputs // largest)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] <= largest
    assert sizes[0] - sizes[-1] <= 1
