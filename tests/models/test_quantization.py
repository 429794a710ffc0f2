"""Quantized layers: exact scales, 8-bit multipliers, shifts by whole bytes."""

from __future__ import annotations

import numpy as np
import pytest

from models.quantization import QuantizedLayer, quantize_layer

INPUT_SCALE = 1 / 16


def quantized(peak: float, spread: float = 1.0, levels: int = 255) -> tuple[QuantizedLayer, ...]:
    """Layers of random weights whose rows differ in size by up to 10**spread."""
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=(12, 20)) * 10 ** (-spread * rng.random((12, 1)))
        found.append(quantize_layer(weights, rng.normal(size=12), INPUT_SCALE, peak, levels))
    return tuple(found)


@pytest.mark.parametrize("peak", [0.1, 1, 3.7, 12, 40, 300])
def test_weights_and_biases_are_within_half_a_step(peak: float) -> None:
    for seed, layer in enumerate(quantized(peak)):
        rng = np.random.default_rng(seed)
        weights = rng.normal(size=(12, 20)) * 10 ** (-rng.random((12, 1)))
        bias = rng.normal(size=12)
        # The definition: input_scale * weight_scale / output_scale is multiplier / 2**shift.
        step = layer.multiplier * layer.scale / (2.0**layer.shift * INPUT_SCALE)
        error = np.abs(layer.weights * step[:, None] - weights)
        assert (error <= 0.5001 * step[:, None]).all()
        assert (np.abs(layer.bias * step * INPUT_SCALE - bias) <= 0.5001 * step * INPUT_SCALE).all()


@pytest.mark.parametrize("peak", [0.1, 1, 3.7, 12, 40, 300])
def test_multipliers_have_eight_bits_and_outputs_reach_the_peak(peak: float) -> None:
    for layer in quantized(peak):
        assert layer.multiplier.dtype == np.uint8
        assert layer.multiplier.min() >= 1
        assert layer.multiplier.max() >= 8
        assert layer.scale * 255 >= peak * 0.999999
        assert layer.scale * 255 <= peak * 2.000001
        assert 0 <= layer.shift <= 31


@pytest.mark.parametrize(
    ("peak", "shift", "multiplier", "loss"),
    [
        (256.0, 8, 255, 1.0),
        (4096.0, 8, 16, 1.0),  # four bits fewer in the multiplier
        (9000.0, 13, 233, 1.0),  # neither way is cheap
        (32768.0, 16, 255, 2.0),  # half of the output's levels
        (40000.0, 16, 255, 65536 / 40000),
        (65536.0, 16, 255, 1.0),
        (2.0**23, 24, 255, 2.0),
        (2.0**40, 24, 1, 1.0),
        (1.0, 0, 255, 1.0),
        (0.1, 0, 255, 10.0),
    ],
)
def test_a_shift_by_whole_bytes_is_preferred(
    peak: float, shift: int, multiplier: int, loss: float
) -> None:
    # A weight of 127 and an input scale of 1: a step of the accumulator is worth 1.
    layer = quantize_layer(np.array([[127.0]]), np.zeros(1), 1.0, peak, 255)
    assert (layer.shift, layer.multiplier.tolist()) == (shift, [multiplier])
    assert layer.scale == pytest.approx(peak / 255 * loss)


def test_a_channel_without_weights_is_a_constant() -> None:
    weights = np.ones((2, 3))
    weights[1] = 0
    layer = quantize_layer(weights, np.array([0.5, 0.25]), INPUT_SCALE, 4.0, 255)
    assert not layer.weights[1].any()
    assert layer.multiplier[1] >= 1
    constant = layer.bias[1] * int(layer.multiplier[1]) / 2.0**layer.shift * layer.scale
    assert constant == pytest.approx(0.25, rel=0.01)


def test_a_layer_that_is_zero_throughout_is_refused() -> None:
    with pytest.raises(ValueError, match="all zero"):
        quantize_layer(np.zeros((2, 3)), np.ones(2), INPUT_SCALE, 1.0, 255)
    with pytest.raises(ValueError, match="all zero"):
        quantize_layer(np.ones((2, 3)), np.ones(2), INPUT_SCALE, 0.0, 255)


def test_a_bias_beyond_32_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit int32"):
        quantize_layer(np.full((1, 1), 1e-6), np.ones(1) * 1e6, INPUT_SCALE, 1.0, 255)
