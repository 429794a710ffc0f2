"""The arithmetic of z80ai's two shipped builds, by hand and against scalars."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_chat import CHARSET, ChatFolder

from models.tinychat import Weights, load_tinychat
from models.tinychat.builds import Build, fast, packed_sums, predictor


@pytest.mark.parametrize(
    ("row", "x", "bias", "packed"),
    [
        ([-2], [32], 4, -64 + 4 - 1),  # 0 < 32: the first subtraction borrows
        ([1, -2], [96, 32], 0, 96 - 64),  # 96 >= 32
        ([1, -2], [32, 32], 0, 32 - 64),  # no borrow of 32 - 32; the second one's goes nowhere
        ([1, -2], [31, 32], 0, 31 - 64 - 1),
        ([-1, -2], [32, 32], 0, -96),  # -32 is 65504 unsigned
        ([-2, -2], [32, 64], 0, -64 - 1 - 128),  # borrows once, then the sum is large
        ([-2, 1, -2], [8, 40, 24], 0, -17 + 40 - 48 - 1),  # 23 < 24: twice
        ([-2], [0], 7, 7),
        ([1, 1], [32767, 2], 0, -32767),  # wraps
        ([1], [32767], 1, -32768),
    ],
)
def test_packed_sums_by_hand(row: list[int], x: list[int], bias: int, packed: int) -> None:
    weights = np.array([row], np.int8)
    sums = packed_sums(weights, np.array([bias], np.int16), np.array([x], np.int64))
    assert sums.tolist() == [[packed]]


def test_packed_sums_of_many_are_those_of_each() -> None:
    rng = np.random.default_rng(1)
    weights = rng.integers(-2, 2, (5, 30)).astype(np.int8)
    bias, x = rng.integers(-99, 99, 5).astype(np.int16), rng.integers(0, 3000, (4, 30))
    expected = []
    for values in x.tolist():
        expected.append([])
        for row, b in zip(weights.tolist(), bias.tolist(), strict=True):
            acc = 0
            for w, value in zip(row, values, strict=True):
                extra = w == -2 and acc < value
                acc = (acc + w * value - extra) % 65536
            acc = (acc + b) % 65536
            expected[-1].append(acc - 65536 if acc >= 32768 else acc)
    assert packed_sums(weights, bias, x).tolist() == expected


def test_fast_takes_a_single_minus_two_for_minus_one() -> None:
    matrix = np.array([[-2, 1, 0], [-2, -2, 1], [0, -1, 1], [1, 0, -2]], np.int8)
    (found, bias), *_ = fast(Weights(((matrix, np.zeros(4, np.int16)),), CHARSET)).layers
    assert found.tolist() == [[-1, 1, 0], [-2, -2, 1], [0, -1, 1], [1, 0, -1]]
    assert found.dtype == np.int8
    assert not bias.any()


def test_builds_differ_only_where_weights_are_minus_two(chat_folder: ChatFolder) -> None:
    chat = load_tinychat(chat_folder())
    queries = chat.queries[:5]
    texts = {
        build: [reply.text for reply in chat.replies(queries, predictor(chat.weights, build))]
        for build in Build
    }
    assert texts[Build.REFERENCE] == [reply.text for reply in chat.replies(queries)]
    assert texts[Build.PACKED] != texts[Build.REFERENCE]
    harmless = Weights(
        tuple((np.maximum(matrix, -1), bias) for matrix, bias in chat.weights.layers), CHARSET
    )
    inputs = chat.free_running(3)
    answers = [predictor(harmless, build)(inputs).tolist() for build in Build]
    assert answers[0] == answers[1] == answers[2]
