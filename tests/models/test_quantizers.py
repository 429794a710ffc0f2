"""Levels, scales and gradients of the weight quantizers, by hand."""

from __future__ import annotations

import pytest
import torch

from models.compress.options import WeightFormat
from models.compress.quantizers import (
    Binary,
    Symmetric,
    Ternary,
    TwoBit,
    WeightQuantizer,
    fake_quantize,
    make,
)

WEIGHTS = torch.tensor([[1.0, -0.5, 0.1, 0.4], [-4.0, 2.0, 0.0, -2.0]])
# mean|w| over what is not zero: 0.5 in the first row, 8 / 3 in the second, 10 / 7 in all.


@pytest.mark.parametrize(
    ("quantizer", "scale", "levels"),
    [
        (Symmetric(4, per_row=True), [[0.25], [1.0]], [[4, -2, 0, 2], [-4, 2, 0, -2]]),
        (Symmetric(4, per_row=False), [[1.0]], [[1, 0, 0, 0], [-4, 2, 0, -2]]),
        (TwoBit(), [[2.0]], [[0, 0, 0, 0], [-2, 1, 0, -1]]),
        (Ternary(per_row=False), [[8 / 3]], [[0, 0, 0, 0], [-1, 1, 0, -1]]),
        (Ternary(per_row=True), [[1.9 / 3], [8 / 3]], [[1, -1, 0, 1], [-1, 1, 0, -1]]),
        (Binary(per_row=False), [[10 / 7]], [[1, -1, 1, 1], [-1, 1, 1, -1]]),
        (Binary(per_row=True), [[0.5], [8 / 3]], [[1, -1, 1, 1], [-1, 1, 1, -1]]),
    ],
)
def test_levels_and_scales(
    quantizer: WeightQuantizer, scale: list[list[float]], levels: list[list[int]]
) -> None:
    found = quantizer.scale(WEIGHTS)
    torch.testing.assert_close(found, torch.tensor(scale))
    assert quantizer.levels(WEIGHTS, found).tolist() == levels


@pytest.mark.parametrize("weights", WeightFormat)
def test_gradients_pass_straight_through(weights: WeightFormat) -> None:
    quantizer = make(weights, per_row=False)
    values = WEIGHTS.clone().requires_grad_()
    slope = torch.arange(8.0).reshape(2, 4)
    quantized = fake_quantize(values, quantizer)
    (quantized * slope).sum().backward()
    scale = quantizer.scale(WEIGHTS)
    assert torch.equal(quantized, quantizer.levels(WEIGHTS, scale) * scale)
    assert values.grad is not None
    assert torch.equal(values.grad, slope)


@pytest.mark.parametrize(
    ("weights", "low", "high"),
    [("int8", -127, 127), ("int4", -7, 7), ("2-bit", -2, 1), ("ternary", -1, 1), ("binary", -1, 1)],
)
def test_levels_are_those_of_the_format(weights: str, low: int, high: int) -> None:
    quantizer = make(WeightFormat(weights), per_row=False)
    values = torch.randn(4, 2000, generator=torch.Generator().manual_seed(0))
    levels = quantizer.levels(values, quantizer.scale(values)).unique().tolist()
    format_levels = [level for level in range(low, high + 1) if level or weights != "binary"]
    assert set(levels) <= set(format_levels)
    assert {-low, high} & {abs(level) for level in levels}
    assert len(levels) == len(format_levels) or weights == "int8"


@pytest.mark.parametrize("weights", WeightFormat)
def test_weights_that_are_all_zero_stay_finite(weights: WeightFormat) -> None:
    quantized = fake_quantize(torch.zeros(2, 3), make(weights, per_row=False))
    assert quantized.abs().max() <= 1e-11


def test_two_bits_have_no_scale_per_row() -> None:
    with pytest.raises(ValueError, match="one scale per layer"):
        make(WeightFormat.TWO_BIT, per_row=True)
