"""Integer products by way of float64 are those of integers."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.exact import exact_product


@pytest.mark.parametrize("bits", [1, 6, 7, 8, 9, 16, 20, 22, 23, 24, 27])
def test_products_are_exact_on_both_sides_of_what_floats_hold(bits: int) -> None:
    draw = np.random.default_rng(bits)
    a, b = (draw.integers(-(1 << bits), 1 << bits, shape) for shape in ((7, 300), (300, 5)))
    expected = [[sum(int(x) * int(y) for x, y in zip(r, c, strict=True)) for c in b.T] for r in a]
    assert exact_product(a, b).tolist() == expected


def test_where_float64_would_round() -> None:
    a = np.array([[1 << 53, 1]])
    assert exact_product(a, np.array([[1], [1]])).tolist() == [[(1 << 53) + 1]]


def test_where_float32_would_round() -> None:
    a = np.array([[1 << 24, 1]])
    assert exact_product(a, np.array([[1], [1]])).tolist() == [[(1 << 24) + 1]]


def test_empty() -> None:
    assert exact_product(np.zeros((0, 3), np.int64), np.ones((3, 2), np.int64)).shape == (0, 2)
    assert exact_product(np.zeros((2, 0), np.int64), np.ones((0, 2), np.int64)).tolist() == [
        [0, 0],
        [0, 0],
    ]
