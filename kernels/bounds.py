"""What values can occur: one range for a whole tensor, or one per element and for their sum.

Bounds of a graph's input are a promise, checked wherever inputs enter. All others are proven.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pair = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Range:
    """The values from `low` to `high`, both included: of every element of a tensor."""

    low: int
    high: int

    def __contains__(self, other: object) -> bool:
        return isinstance(other, Range) and self.low <= other.low and other.high <= self.high

    def elements(self, count: int) -> Pair:
        """Lowest and highest value of each of `count` elements, int64 (count,) both."""
        return np.full(count, self.low, np.int64), np.full(count, self.high, np.int64)

    def reaching(self, value: int, count: int) -> int:
        """Of `count` elements, how many can be `value` (above 0) or more, or negative, at once."""
        return count if self.low < 0 or self.high >= value else 0

    def part(self, numbers: NDArray[np.int64], count: int) -> Bounds:
        """What is known of some of `count` elements."""
        lows, highs = self.elements(count)
        return Bounds.of(lows[numbers].tolist(), highs[numbers].tolist(), self._part_total())

    def _part_total(self) -> Range | None:
        """Of what is not negative, a part is no more than the whole."""
        return None

    def problem(self, count: int) -> str | None:
        """Why this cannot be said of `count` elements; None if it can."""
        del count  # the same for any
        return f"bounds [{self.low}, {self.high}] are empty" if self.low > self.high else None

    def violation(self, x: NDArray[np.int64]) -> str | None:
        """The first of a batch, int64 (n, *shape), that lies outside, told as a sentence's end."""
        lows, highs = self.elements(int(np.prod(x.shape[1:])))
        bad = np.argwhere((x < lows.reshape(x.shape[1:])) | (x > highs.reshape(x.shape[1:])))
        if not bad.size:
            return None
        where = tuple(int(i) for i in bad[0])
        at = np.ravel_multi_index(where[1:], x.shape[1:])
        return (
            f"input {where[0]} has {int(x[where])} at {where[1:]}, "
            f"outside [{lows[at]}, {highs[at]}]"
        )

    def products(self, weights: NDArray[np.int64], zero_point: int) -> Pair:
        """Least and most that each row of weights @ (x - zero_point) can be, int64 (rows,) both."""
        low, high = (end - zero_point for end in self.elements(weights.shape[1]))
        least: NDArray[np.int64] = np.minimum(weights * low, weights * high).sum(axis=1)
        most: NDArray[np.int64] = np.maximum(weights * low, weights * high).sum(axis=1)
        return least, most


@dataclass(frozen=True, slots=True)
class Bounds(Range):
    """A range per element, `lows` to `highs`; `low` and `high` are the lowest and the highest.

    total: what the sum of all elements can be, None where nothing more is known than their ranges.
    """

    lows: tuple[int, ...]
    highs: tuple[int, ...]
    total: Range | None = None

    @classmethod
    def of(cls, lows: Iterable[int], highs: Iterable[int], total: Range | None = None) -> Bounds:
        """Bounds of elements, with `low` and `high` taken from them."""
        low, high = tuple(map(int, lows)), tuple(map(int, highs))
        return cls(min(low), max(high), low, high, total)

    @classmethod
    def summing(cls, count: int, each: Range, total: Range) -> Bounds:
        """`count` elements of one range, whose sum lies in `total`."""
        return cls.of([each.low] * count, [each.high] * count, total)

    def elements(self, count: int) -> Pair:
        """Lowest and highest value of each element, int64 (count,) both."""
        del count  # is len(lows), which `problem` checks
        return np.array(self.lows, np.int64), np.array(self.highs, np.int64)

    def reaching(self, value: int, count: int) -> int:
        """Of the elements, how many can be `value` (above 0) or more, or negative, at once."""
        lows, highs = self.elements(count)
        able = int(np.count_nonzero((lows < 0) | (highs >= value)))
        if self.low < 0 or self.total is None:
            return able
        return min(able, self.total.high // value)

    def _part_total(self) -> Range | None:
        """Of what is not negative, a part is no more than the whole."""
        return Range(0, self.total.high) if self.total and self.low >= 0 else None

    def problem(self, count: int) -> str | None:
        """Why this cannot be said of `count` elements; None if it can."""
        if not len(self.lows) == len(self.highs) == count:
            return f"bounds are of {len(self.lows)} elements, the tensor has {count}"
        if any(low > high for low, high in zip(self.lows, self.highs, strict=True)):
            return "bounds of an element are empty"
        if self.total is None:
            return None
        reach = Range(sum(self.lows), sum(self.highs))
        if max(self.total.low, reach.low) > min(self.total.high, reach.high):
            return f"no elements within their bounds sum up to {self.total}"
        return None

    def violation(self, x: NDArray[np.int64]) -> str | None:
        """The first of a batch that lies outside, by an element or by its sum."""
        sums = x.reshape(len(x), -1).sum(axis=1)
        found = super(Bounds, self).violation(x)
        if found or self.total is None:
            return found
        bad = np.flatnonzero((sums < self.total.low) | (sums > self.total.high))
        if not bad.size:
            return None
        return (
            f"input {bad[0]} sums up to {sums[bad[0]]}, outside "
            f"[{self.total.low}, {self.total.high}]"
        )

    def products(self, weights: NDArray[np.int64], zero_point: int) -> Pair:
        """Least and most of each row; where the total is bounded, the best way to spend it."""
        if self.total is None:
            return super(Bounds, self).products(weights, zero_point)
        lows, highs = self.elements(weights.shape[1])
        fixed = weights @ (lows - zero_point)
        room = Range(self.total.low - int(lows.sum()), self.total.high - int(lows.sum()))
        least = fixed - _most(-weights, highs - lows, room)
        return least, fixed + _most(weights, highs - lows, room)


def _most(
    weights: NDArray[np.int64], capacity: NDArray[np.int64], spent: Range
) -> NDArray[np.int64]:
    """Each row's most of weights @ y, 0 <= y <= capacity, sum of y in `spent`: dearest first."""
    order = np.argsort(-weights, axis=1, kind="stable")
    sorted_weights = np.take_along_axis(weights, order, axis=1)
    filled = np.cumsum(capacity[order], axis=1)
    gain = np.where(sorted_weights > 0, capacity[order], 0).sum(axis=1)
    amount = np.clip(gain, max(spent.low, 0), min(spent.high, int(capacity.sum())))
    taken = np.diff(np.minimum(filled, amount[:, np.newaxis]), axis=1, prepend=0)
    most: NDArray[np.int64] = (sorted_weights * taken).sum(axis=1)
    return most
