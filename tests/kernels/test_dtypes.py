"""Tensors in memory: sizes, packing and unpacking of every type."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kernels.bitfields import pack_fields, unpack_fields
from kernels.dtypes import BIT, BYTES, DTYPES, INT8, INT16, UINT8, DType
from kernels.ir import Tensor

ALL = list(DTYPES.values())


@pytest.mark.parametrize("dtype", ALL)
@settings(derandomize=True, deadline=None, max_examples=100)
@given(data=st.data())
def test_unpacking_gives_back_what_was_packed(dtype: DType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(dtype.low, dtype.high), min_size=1, max_size=40))
    packed = dtype.pack(np.array(values))
    assert len(packed) == dtype.bytes_for(len(values)) == Tensor("t", (len(values),), dtype).size
    assert dtype.unpack(packed, len(values)).tolist() == values
    assert dtype.unpack(packed, len(values)).dtype == np.int64


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize("count", [1, 8, 11])
def test_rows_lie_as_each_does_alone(dtype: DType, count: int) -> None:
    values = np.random.default_rng(count).integers(dtype.low, dtype.high + 1, (5, count))
    packed = dtype.pack_rows(values)
    assert packed == [dtype.pack(row) for row in values]
    rows = dtype.unpack_rows(b"".join(packed), 5, count)
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows, values)


@pytest.mark.parametrize(
    ("dtype", "values", "data"),
    [
        (BIT, [1, 0, 0, 0, 0, 0, 0, 1, 1], b"\x81\x01"),
        (BIT, [0, 1], b"\x02"),
        (UINT8, [255, 1], b"\xff\x01"),
        (INT8, [-1, 127], b"\xff\x7f"),
        (INT16, [-2, 300], b"\xfe\xff\x2c\x01"),
    ],
)
def test_memory_by_hand(dtype: DType, values: list[int], data: bytes) -> None:
    assert dtype.pack(np.array(values)) == data
    assert dtype.unpack(data, len(values)).tolist() == values


def test_bits_behind_the_last_element_are_ignored() -> None:
    assert BIT.unpack(b"\xff\xff", 9).tolist() == [1] * 9


def test_only_bits_are_packed() -> None:
    assert [dtype for dtype in ALL if dtype.packed] == [BIT]
    assert (BIT.low, BIT.high, BIT.size, str(BIT)) == (0, 1, 1, "uint1")
    assert [dtype.bytes_for(9) for dtype in (BIT, *BYTES)] == [2, 9, 9, 18]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("shape", [(1,), (9,), (3, 1), (2, 7), (2, 3, 17)])
def test_fields_are_packed_row_by_row(bits: int, shape: tuple[int, ...]) -> None:
    values: NDArray[np.uint8] = np.random.default_rng(bits).integers(0, 1 << bits, shape, np.uint8)
    data = pack_fields(values, bits)
    assert data.shape == (*shape[:-1], -(-shape[-1] * bits // 8))
    np.testing.assert_array_equal(unpack_fields(data, bits, shape[-1]), values)
    row = int.from_bytes(data.reshape(-1, data.shape[-1])[0].tobytes(), "little")
    first = values.reshape(-1, shape[-1])[0]
    assert row == sum(int(value) << (bits * place) for place, value in enumerate(first))
