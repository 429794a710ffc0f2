"""The two Z80 builds that z80ai shipped compute something else than its own reference.

To reproduce the replies of such a binary bit for bit, let its build predict the characters:

    chat.replies(queries, builds.predictor(chat.weights, Build.PACKED))

Everywhere else the reference's arithmetic holds. Both faults concern weights of -2 only.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.chat.replies import Predictor
from models.model import predict
from models.tinychat.graph import COUNT_SHIFT, SHIFT, build_graph
from models.tinychat.weights import Weights

_HALF, _MODULUS = 1 << 15, 1 << 16


class Build(StrEnum):
    """Whose arithmetic.

    REFERENCE: exact but for the wrap. PACKED: of the two subtractions of a weight of -2 the second
    takes the first one's borrow along. FAST: in a row with a single -2 that weight counts as -1.
    """

    REFERENCE = "reference"
    PACKED = "packed"
    FAST = "fast"


def predictor(weights: Weights, build: Build) -> Predictor:
    """Counts, uint8 (n, 256), to the indices of the characters that a build would give."""
    if build is Build.PACKED:
        return partial(_predict_packed, weights)
    return partial(predict, build_graph(fast(weights) if build is Build.FAST else weights))


def fast(weights: Weights) -> Weights:
    """The weights as the fast build takes them."""
    layers = []
    for matrix, bias in weights.layers:
        single = ((matrix == -2).sum(axis=1, keepdims=True) == 1) & (matrix == -2)
        layers.append((np.where(single, np.int8(-1), matrix), bias))
    return Weights(tuple(layers), weights.charset)


def packed_sums(
    weights: NDArray[np.int8], bias: NDArray[np.int16], x: NDArray[np.int64]
) -> NDArray[np.int64]:
    """A layer's accumulators in the packed build, int64 (batch, out), as 16-bit two's complement.

    x: int64 (batch, in), not negative. They begin at zero, meet the inputs in order, and take the
    bias last. The borrow of a first subtraction is there when the accumulator, read as unsigned, is
    less than the input.
    """
    acc = np.zeros((len(x), len(weights)), np.int64)
    for column, value in zip(weights.T.astype(np.int64), x.T[:, :, np.newaxis], strict=True):
        borrow = (column == -2) & (acc < value)
        acc = (acc + column * value - borrow) % _MODULUS
    wrapped: NDArray[np.int64] = (acc + bias + _HALF) % _MODULUS - _HALF
    return wrapped


def _predict_packed(weights: Weights, counts: NDArray[np.uint8]) -> NDArray[np.int64]:
    values = counts.astype(np.int64) << COUNT_SHIFT
    for number, (matrix, bias) in enumerate(weights.layers, start=1):
        values = packed_sums(matrix, bias, values) >> SHIFT
        if number < len(weights.layers):
            values = np.maximum(values, 0)
    best: NDArray[np.int64] = values.argmax(axis=1)
    return best
