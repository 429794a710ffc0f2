"""Weight quantizers: the integer levels and the scale of a layer's weights.

    w  ->  levels * scale        in the forward pass
    dL/dw := dL/d(levels * scale)    straight through (Bengio et al., 2013)

Scales are computed from the weights at hand and are constants to the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.compress.options import WeightFormat

TERNARY_THRESHOLD = 0.7
TWO_BIT_STEP = 2 * TERNARY_THRESHOLD
_LEAST_SCALE = 1e-12


class WeightQuantizer(Protocol):
    """Levels and scales of weights, float (out, in)."""

    @property
    def symmetric(self) -> bool:
        """Whether -level is a level for every level."""

    def scale(self, weights: Tensor) -> Tensor:
        """Positive scales, (1, 1) or (out, 1)."""

    def levels(self, weights: Tensor, scale: Tensor) -> Tensor:
        """Integers as floats, (out, in)."""


@dataclass(frozen=True, slots=True)
class Symmetric:
    """Rounding to -limit..limit; the largest |w| of the layer or row becomes `limit`."""

    limit: int
    per_row: bool = True
    symmetric = True

    def scale(self, weights: Tensor) -> Tensor:
        """The largest |w| / limit."""
        return _positive(_largest(weights, self.per_row) / self.limit)

    def levels(self, weights: Tensor, scale: Tensor) -> Tensor:
        """The nearest level."""
        return torch.clamp(torch.round(weights / scale), -self.limit, self.limit)


@dataclass(frozen=True, slots=True)
class TwoBit:
    """Rounding to -2..1, one scale per layer: 1.4 * mean|w|, so |w| under 0.7 * mean|w| is 0."""

    symmetric = False

    def scale(self, weights: Tensor) -> Tensor:
        """1.4 * mean|w|."""
        return _positive(TWO_BIT_STEP * _mean(weights, per_row=False))

    def levels(self, weights: Tensor, scale: Tensor) -> Tensor:
        """The nearest level."""
        return torch.clamp(torch.round(weights / scale), -2, 1)


@dataclass(frozen=True, slots=True)
class Ternary:
    """-1, 0, 1: zero up to 0.7 * mean|w|; the scale is the mean of |w| above it.

    Li et al., "Ternary Weight Networks", 2016.
    """

    per_row: bool = False
    symmetric = True

    def scale(self, weights: Tensor) -> Tensor:
        """The mean of |w| above the threshold."""
        kept = torch.where(self._chosen(weights), weights, 0.0)
        return _positive(_mean(kept, self.per_row))

    def levels(self, weights: Tensor, scale: Tensor) -> Tensor:  # noqa: ARG002 - the protocol's
        """The sign of each weight above the threshold."""
        return torch.where(self._chosen(weights), torch.sign(weights), 0.0)

    def _chosen(self, weights: Tensor) -> Tensor:
        return weights.abs() > TERNARY_THRESHOLD * _mean(weights, self.per_row)


@dataclass(frozen=True, slots=True)
class Binary:
    """-1 and 1 by sign, 1 for zero; the scale is mean|w|.

    Rastegari et al., "XNOR-Net", 2016.
    """

    per_row: bool = True
    symmetric = True

    def scale(self, weights: Tensor) -> Tensor:
        """mean|w|."""
        return _positive(_mean(weights, self.per_row))

    def levels(self, weights: Tensor, scale: Tensor) -> Tensor:  # noqa: ARG002 - the protocol's
        """The sign."""
        return torch.where(weights < 0, -1.0, 1.0)


def make(weights: WeightFormat, *, per_row: bool) -> WeightQuantizer:
    """The quantizer of a format; ValueError where it has no scales per row."""
    match weights:
        case WeightFormat.INT8:
            return Symmetric(127, per_row)
        case WeightFormat.INT4:
            return Symmetric(7, per_row)
        case WeightFormat.TERNARY:
            return Ternary(per_row)
        case WeightFormat.BINARY:
            return Binary(per_row)
        case WeightFormat.TWO_BIT:
            if per_row:
                raise ValueError("2-bit weights have one scale per layer; leave per_row out")
            return TwoBit()


def fake_quantize(weights: Tensor, quantizer: WeightQuantizer) -> Tensor:
    """Give levels * scale, (out, in); the gradient passes straight through to `weights`."""
    with torch.no_grad():
        scale = quantizer.scale(weights)
        quantized = quantizer.levels(weights, scale) * scale
    return straight_through(weights, quantized)


def straight_through(values: Tensor, quantized: Tensor) -> Tensor:
    """Exactly `quantized`, with the gradient of `values`."""
    return quantized.detach() + (values - values.detach())


def _largest(weights: Tensor, per_row: bool) -> Tensor:
    magnitudes = weights.abs()
    return magnitudes.amax(1, keepdim=True) if per_row else magnitudes.max().reshape(1, 1)


def _mean(weights: Tensor, per_row: bool) -> Tensor:
    """mean|w| over the weights that are not zero, so that pruned ones do not count."""
    dims = (1,) if per_row else (0, 1)
    count = torch.count_nonzero(weights, dims).clamp_min(1)
    total = weights.abs().sum(dims)
    return (total / count).reshape(-1, 1)


def _positive(scale: Tensor) -> Tensor:
    return scale.clamp_min(_LEAST_SCALE)
