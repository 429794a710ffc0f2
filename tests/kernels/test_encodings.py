"""Every encoding gives back the weights it was given; its layout, by hand on one small matrix."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.encodings import dense8, encodings, find_encoding, index_lists
from kernels.errors import Unsupported

Weights = NDArray[np.int8]


def _dense8(weights: Weights) -> Weights:
    return dense8.decode(dense8.encode(weights), len(weights))


def _index_lists(weights: Weights) -> Weights:
    return index_lists.decode(index_lists.encode(weights))


# Encodings differ in what they store beside the data, hence in how decoding is called.
ROUND_TRIPS: dict[str, tuple[ModuleType, Callable[[Weights], Weights], int]] = {
    dense8.NAME: (dense8, _dense8, 127),
    index_lists.NAME: (index_lists, _index_lists, 2),
}
LARGEST_BLOCK = {dense8.NAME: 300, index_lists.NAME: index_lists.BLOCK}


def test_every_encoding_is_tested() -> None:
    assert {name: module for name, (module, _, _) in ROUND_TRIPS.items()} == encodings()
    assert all(find_encoding(name) is module for name, module in encodings().items())


@pytest.mark.parametrize("name", encodings())
@settings(derandomize=True, deadline=None, max_examples=100)
@given(data=st.data())
def test_decoding_gives_back_what_was_encoded(name: str, data: st.DataObject) -> None:
    module, round_trip, high = ROUND_TRIPS[name]
    values = st.integers(-128 if high == 127 else -high, high)
    shape = data.draw(array_shapes(min_dims=2, max_dims=2, max_side=12))
    weights = data.draw(arrays(np.int8, shape, elements=values))
    assert module.problem(weights, 16) is None
    np.testing.assert_array_equal(round_trip(weights), weights)


@pytest.mark.parametrize("name", encodings())
@pytest.mark.parametrize("inputs", [1, 2, 255, 256, 257])
def test_large_blocks_and_extreme_weights(name: str, inputs: int) -> None:
    _, round_trip, high = ROUND_TRIPS[name]
    outputs = LARGEST_BLOCK[name]
    low = -128 if high == 127 else -high
    rng = np.random.default_rng(inputs)
    for weights in (
        np.full((outputs, inputs), low, np.int8),
        np.full((outputs, inputs), high, np.int8),
        np.zeros((outputs, inputs), np.int8),
        rng.integers(low, high, (outputs, inputs), np.int8, endpoint=True),
    ):
        np.testing.assert_array_equal(round_trip(weights), weights)


def test_what_an_encoding_supports() -> None:
    assert index_lists.problem(np.array([[-2, 2]], np.int8), 24) is None
    assert "at most 24 bits" in str(index_lists.problem(np.array([[-2, 2]], np.int8), 32))
    assert "weights of [0, 3]" in str(index_lists.problem(np.array([[0, 3]], np.int8), 16))
    assert "weights of [-3, 0]" in str(index_lists.problem(np.array([[-3, 0]], np.int8), 16))
    assert "weights of [-128, -128]" in str(index_lists.problem(np.array([[-128]], np.int8), 16))
    assert dense8.problem(np.array([[-128, 127]], np.int8), 32) is None


def test_an_unknown_encoding_is_refused_with_the_known_ones() -> None:
    with pytest.raises(Unsupported, match="unknown encoding 'csr'; known encodings: dense8, index"):
        find_encoding("csr")


def test_dense8_puts_the_outputs_of_an_input_side_by_side() -> None:
    weights = np.array([[-128, 0], [127, 1], [-1, 2]], np.int8)
    assert dense8.encode(weights).tolist() == [0, 255, 127, 128, 129, 130]


def test_index_lists_by_hand() -> None:
    columns = index_lists.encode(np.array([[1, 0, -2], [2, 0, 1], [-1, 0, 0]], np.int8))
    assert (columns.outputs, columns.plus_end, columns.minus_end) == (3, 3, 4)
    assert columns.starts.tolist() == [0, 6, 8]
    lists = np.split(columns.data, columns.starts[1:])
    assert [column.tolist() for column in lists] == [[0, 1, 1, 3, 2, 4], [3, 4], [1, 3, 0, 0, 4]]


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
