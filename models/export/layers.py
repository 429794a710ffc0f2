"""A layer before and after its scales, shifts and biases are settled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DTYPES, DType

MAX_WEIGHT = 127
ACTIVATION_LEVELS = {"uint8": 255, "int16": 1023}
"""Steps of hidden activations by dtype; 10 bits of int16 leave accumulators within 24."""


@dataclass(frozen=True, eq=False, slots=True)
class RealLayer:
    """A linear layer whose weights are yet to be quantized, with one scale per row.

    weights: float64 (out, in). bias: float64 (out,).
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class LevelLayer:
    """A linear layer of integer weights: weights = levels * scale.

    levels: int8 (out, in). scale: float64 (1,), or (out,) for one per row, positive.
    bias: float64 (out,).
    """

    levels: NDArray[np.int8]
    scale: NDArray[np.float64]
    bias: NDArray[np.float64]

    @property
    def weights(self) -> NDArray[np.float64]:
        """Levels * scale, (out, in)."""
        return self.levels * self.scale[:, None]


@dataclass(frozen=True, slots=True)
class Grid:
    """What is chosen for a layer, apart from what follows from its weights; see `IntegerLayer`.

    scale: counts for a layer with a scale per row; where one scale serves all, the output's is the
    accumulator's times 2**shift.
    """

    dtype: str
    input_shift: int
    shift: int
    scale: float
    low: int
    high: int


@dataclass(frozen=True, eq=False, slots=True)
class IntegerLayer:
    """A linear layer as the device computes it.

        acc = bias + (levels @ x << input_shift)
        y = clip(acc * multiplier >> shift, low, high)

    levels: int8 (out, in). bias: int32 (out,), half of the shift's lowest bit included, so that
    the floor rounds to nearest. multiplier: int64 (1,) or (out,). scale: the real value of a step
    of y.
    """

    levels: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int64]
    shift: int
    scale: float
    dtype: str
    low: int
    high: int
    input_shift: int = 0

    @property
    def grid(self) -> Grid:
        """What was chosen for it."""
        return Grid(self.dtype, self.input_shift, self.shift, self.scale, self.low, self.high)

    @property
    def accumulator_scale(self) -> NDArray[np.float64]:
        """The real value of a step of the accumulator, float64 (1,) or (out,)."""
        return self.factor * self.scale

    @property
    def half_step(self) -> NDArray[np.float64]:
        """What the bias carries so that the floor rounds to nearest, in steps of the accumulator.

        float64 (1,) or (out,).
        """
        return 0.5 / self.factor if self.shift else np.zeros(1)

    @property
    def factor(self) -> NDArray[np.float64]:
        """Steps of y per step of the accumulator, float64 (1,) or (out,)."""
        return self.multiplier / 2.0**self.shift

    @property
    def output(self) -> DType:
        """The dtype of y."""
        return DTYPES[self.dtype]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the graph is to look like.

    input_scale: the real value of one step of the input. input_high: the largest input, a promise
    on which accumulators are proven. activations: dtype of hidden activations, uint8 or int16.
    saturated: the share of calibrated activations that may exceed their largest step.
    logit_levels: steps from zero to the largest logit, for logits that need a multiplier; the rest
    of int16 is for inputs unlike the calibration's. max_weight: the largest integer weight of a
    `RealLayer`.
    """

    input_scale: float = 1.0
    input_high: int = 255
    activations: str = "uint8"
    saturated: float = 1e-4
    logit_levels: int = 1 << 14
    max_weight: int = MAX_WEIGHT

    @property
    def levels(self) -> int:
        """Steps from zero to the largest hidden activation."""
        return ACTIVATION_LEVELS[self.activations]
