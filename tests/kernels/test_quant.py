"""Requantization and wrap against cases worked by hand and against Python's own integers."""

import numpy as np
import pytest
from builders import requantization
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.quant import (
    MAX_MULTIPLIER,
    MAX_SHIFT,
    Requantization,
    Rounding,
    requantize,
    wrap,
)

FLOOR, HALF_UP = Rounding.FLOOR, Rounding.HALF_UP


@pytest.mark.parametrize(
    ("acc", "shift", "floor", "half_up"),
    [
        (5, 0, 5, 5),
        (-5, 0, -5, -5),
        (5, 1, 2, 3),  # 2.5
        (-5, 1, -3, -2),  # -2.5: half up goes towards plus infinity
        (6, 2, 1, 2),  # 1.5
        (-6, 2, -2, -1),  # -1.5
        (-7, 2, -2, -2),  # -1.75
        (1, 1, 0, 1),
        (-1, 1, -1, 0),
        (-1, 31, -1, 0),
        (1 << 30, 31, 0, 1),  # exactly a half
        ((1 << 30) - 1, 31, 0, 0),
    ],
)
def test_rounding_by_hand(acc: int, shift: int, floor: int, half_up: int) -> None:
    x = np.array([acc])
    assert requantize(x, requantization(1, shift)).tolist() == [floor]
    assert requantize(x, requantization(1, shift, rounding=HALF_UP)).tolist() == [half_up]


def test_saturation_comes_after_the_zero_point() -> None:
    how = requantization(1, 1, zero_point=-3, low=-10, high=7)
    x = np.array([-16, -15, -14, -12, 18, 20, 21, 22, 1 << 40])
    assert requantize(x, how).tolist() == [-10, -10, -10, -9, 6, 7, 7, 7, 7]


def test_relu_is_a_lower_bound_at_the_zero_point() -> None:
    how = requantization(1, 0, zero_point=20, low=20, high=255)
    assert requantize(np.array([-5, 0, 1, 235, 236]), how).tolist() == [20, 20, 21, 255, 255]


def test_each_channel_has_its_multiplier() -> None:
    how = requantization([1, 3, MAX_MULTIPLIER], 4)
    assert requantize(np.array([[10, 10, -1], [-10, -10, 1]]), how).tolist() == [
        [0, 1, -4096],
        [-1, -2, 4095],
    ]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    acc=st.integers(-(1 << 31), (1 << 31) - 1),
    multiplier=st.integers(1, MAX_MULTIPLIER),
    shift=st.integers(0, MAX_SHIFT),
    rounding=st.sampled_from(Rounding),
    zero_point=st.integers(-128, 127),
)
def test_requantize_is_exact_for_any_accumulator(
    acc: int, multiplier: int, shift: int, rounding: Rounding, zero_point: int
) -> None:
    how = requantization(multiplier, shift, rounding=rounding, zero_point=zero_point)
    scaled, rest = divmod(acc * multiplier, 2**shift)
    if rounding is HALF_UP and 2 * rest >= 2**shift:
        scaled += 1
    want = min(max(scaled + zero_point, how.low), how.high)
    assert requantize(np.array([acc]), how).tolist() == [want]


@pytest.mark.parametrize(
    ("value", "bits", "want"),
    [
        (32767, 16, 32767),
        (32768, 16, -32768),
        (-32768, 16, -32768),
        (-32769, 16, 32767),
        (65536, 16, 0),
        (1 << 23, 24, -(1 << 23)),
        (-(1 << 23) - 1, 24, (1 << 23) - 1),
        ((1 << 32) + 7, 32, 7),
    ],
)
def test_wrap_by_hand(value: int, bits: int, want: int) -> None:
    assert wrap(np.array([value]), bits).tolist() == [want]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(value=st.integers(-(1 << 45), 1 << 45), bits=st.sampled_from([16, 24, 32]))
def test_wrap_is_congruent_and_in_range(value: int, bits: int) -> None:
    (wrapped,) = wrap(np.array([value]), bits).tolist()
    assert -(2 ** (bits - 1)) <= wrapped < 2 ** (bits - 1)
    assert (wrapped - value) % 2**bits == 0


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (requantization([1, 2]), "multiplier has shape (2,), expected (1,) or (3,)"),
        (requantization([]), "multiplier has shape (0,), expected (1,) or (3,)"),
        (requantization(0), "multipliers must be in [1, 65535]"),
        (requantization([1, 2, 65536]), "multipliers must be in [1, 65535]"),
        (requantization(1, -1), "shift -1 is outside [0, 31]"),
        (requantization(1, 32), "shift 32 is outside [0, 31]"),
        (requantization(low=5, high=4), "saturation bounds are empty: [5, 4]"),
    ],
)
def test_problems(how: Requantization, problem: str) -> None:
    assert how.problems(3) == [problem]


def test_legal_parameters_have_no_problems() -> None:
    assert requantization([1, 2, MAX_MULTIPLIER], MAX_SHIFT, low=4, high=4).problems(3) == []
    assert requantization(7).problems(3) == []


def test_round_bias_and_is_shift() -> None:
    assert requantization(1, 5, rounding=HALF_UP).round_bias == 16
    assert requantization(1, 0, rounding=HALF_UP).round_bias == 0
    assert requantization(1, 5).round_bias == 0
    assert requantization([1, 1]).is_shift
    assert not requantization([1, 2]).is_shift
    assert requantization(7).per_channel(3).tolist() == [7, 7, 7]
