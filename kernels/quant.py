"""Requantization: the one definition of how an accumulator becomes an activation.

    y = clip(floor_or_half_up(acc * multiplier / 2**shift) + zero_point, low, high)

The multiplier is an unsigned integer of at most 16 bits, one per output channel or one for all;
with a multiplier of one the step is a plain shift. A fused ReLU is `low = zero_point`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

MAX_MULTIPLIER = (1 << 16) - 1
MAX_SHIFT = 31


class Rounding(StrEnum):
    """How the bits below the shift are dropped."""

    FLOOR = "floor"
    HALF_UP = "half up"


@dataclass(frozen=True, eq=False, slots=True)
class Requantization:
    """Parameters of `requantize`.

    multiplier: int64 (channels,), each in [1, 65535]; a single one serves every channel.
    shift: in [0, 31]. low, high: saturation bounds, within the output's dtype.
    """

    multiplier: NDArray[np.int64]
    shift: int
    rounding: Rounding
    zero_point: int
    low: int
    high: int

    @property
    def is_shift(self) -> bool:
        """Whether no multiplication is needed."""
        return bool(np.all(self.multiplier == 1))

    @property
    def round_bias(self) -> int:
        """What is added to the product before the floor shift."""
        half_up = self.rounding is Rounding.HALF_UP and self.shift > 0
        return 1 << (self.shift - 1) if half_up else 0

    def per_channel(self, channels: int) -> NDArray[np.int64]:
        """Multipliers, int64 (channels,), a single one repeated."""
        return np.broadcast_to(self.multiplier, (channels,))

    def problems(self, channels: int) -> list[str]:
        """What is wrong with the parameters for that many channels; empty when nothing is."""
        found = []
        if self.multiplier.shape not in {(1,), (channels,)}:
            found.append(
                f"multiplier has shape {self.multiplier.shape}, expected (1,) or ({channels},)"
            )
        elif self.multiplier.min() < 1 or self.multiplier.max() > MAX_MULTIPLIER:
            found.append(f"multipliers must be in [1, {MAX_MULTIPLIER}]")
        if not 0 <= self.shift <= MAX_SHIFT:
            found.append(f"shift {self.shift} is outside [0, {MAX_SHIFT}]")
        if self.low > self.high:
            found.append(f"saturation bounds are empty: [{self.low}, {self.high}]")
        return found


def requantize(acc: NDArray[np.int64], how: Requantization) -> NDArray[np.int64]:
    """Requantize accumulators, int64 (..., channels), to activations of the same shape."""
    scaled = (acc * how.multiplier + how.round_bias) >> how.shift
    clipped: NDArray[np.int64] = np.clip(scaled + how.zero_point, how.low, how.high)
    return clipped


def wrap(values: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Values modulo 2**bits, as two's complement."""
    half = np.int64(1 << (bits - 1))
    mask = np.int64((1 << bits) - 1)
    wrapped: NDArray[np.int64] = ((values + half) & mask) - half
    return wrapped
