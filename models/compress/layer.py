"""A layer of the network that is trained: float, fake-quantized, or rounding as its device does."""

from __future__ import annotations

from dataclasses import astuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.compress.quantizers import WeightQuantizer, fake_quantize, straight_through
from models.export import Grid, IntegerLayer, LevelLayer
from models.export.layers import ACTIVATION_LEVELS

_PEAK_DECAY = 0.99
_LOGITS = "int16"


class Layer(nn.Module):
    """Linear, then batch normalization where there is one, then, if hidden, ReLU.

    weight: (out, in). bias: (out,). mask: (out, in) of 0 and 1; pruned weights are 0.
    peak: a running maximum of the activations while training with quantized ones. levels: steps of
    those from zero to the peak. numbers: float64 (5,), those of the settled grid, else zeros.
    """

    mask: Tensor
    peak: Tensor
    numbers: Tensor

    def __init__(self, inputs: int, outputs: int, *, hidden: bool, activations: str) -> None:
        super().__init__()
        linear = nn.Linear(inputs, outputs)
        self.weight, self.bias = linear.weight, linear.bias
        self.hidden, self.dtype = hidden, activations if hidden else _LOGITS
        self.levels = ACTIVATION_LEVELS[activations]
        self.norm: nn.BatchNorm1d | None = None
        self.quantizer: WeightQuantizer | None = None
        self.register_buffer("mask", torch.ones_like(linear.weight))
        self.register_buffer("peak", torch.zeros(()))
        self.register_buffer("numbers", torch.zeros(5, dtype=torch.float64))

    @property
    def grid(self) -> Grid | None:
        """Where the device rounds, once that is settled."""
        input_shift, shift, scale, low, high = self.numbers.tolist()
        if high == 0:
            return None
        return Grid(self.dtype, int(input_shift), int(shift), scale, int(low), int(high))

    @grid.setter
    def grid(self, grid: Grid | None) -> None:
        numbers = (0.0,) * 5 if grid is None else astuple(grid)[1:]
        self.numbers.copy_(torch.tensor(numbers, dtype=torch.float64))

    def forward(self, values: Tensor) -> Tensor:
        """(batch, in) to (batch, out)."""
        values = functional.linear(values, self.used_weight(), self.bias)
        if self.norm is not None:
            values = self.norm(values)
        if not self.hidden:
            return values
        values = torch.relu(values)
        return values if self.quantizer is None else self._quantized(values)

    def forward_on_grid(self, values: Tensor, integer: IntegerLayer, input_scale: float) -> Tensor:
        """As `forward`, rounding where the device does.

        integer: what `integers` of the network gives for this layer. input_scale: the real value of
        a step of the inputs. Gradients pass straight through; normalization is a constant.
        """
        step = torch.tensor(integer.accumulator_scale)
        gain = folded(self)[0].to(self.weight)
        levels = torch.tensor(integer.levels) * step[:, None]
        weight = straight_through(
            self.weight * self.mask * gain[:, None],
            (levels * (2.0**integer.input_shift / input_scale)).to(values),
        )
        bias = straight_through(self.bias * gain, (torch.tensor(integer.bias) * step).to(values))
        real = functional.linear(values, weight, bias)
        with torch.no_grad():
            accumulators = torch.round(real.double() / step)
            steps = torch.floor(accumulators * torch.tensor(integer.factor))
            rounded = torch.clamp(steps, integer.low, integer.high) * integer.scale
        return straight_through(torch.relu(real) if self.hidden else real, rounded.to(real))

    def used_weight(self) -> Tensor:
        """The weights as the forward pass takes them, (out, in), without normalization."""
        weight = self.weight * self.mask
        if self.quantizer is None:
            return weight
        return fake_quantize(weight, self.quantizer) * self.mask

    def leveled(self) -> LevelLayer:
        """Levels, scales and bias, normalization folded; only of a layer with quantized weights."""
        assert self.quantizer is not None
        # In single precision also where the network is evaluated in double: the same levels.
        weight = (self.weight.detach() * self.mask).float()
        scale = self.quantizer.scale(weight)
        levels = self.quantizer.levels(weight, scale) * self.mask
        gain, bias = folded(self)
        real_scale = scale.double().reshape(-1)
        if self.norm is not None:
            real_scale = real_scale * gain.abs()
            levels = levels * gain.sign()[:, None].float()
        return LevelLayer(levels.numpy().astype("int8"), real_scale.numpy(), bias.numpy())

    def _quantized(self, values: Tensor) -> Tensor:
        """Activations in equal steps up to the peak, saturated there; straight through."""
        with torch.no_grad():
            if self.training:
                self.peak.copy_(torch.maximum(self.peak * _PEAK_DECAY, values.max()))
            step = (self.peak / self.levels).clamp_min(1e-12)
            rounded = torch.clamp(torch.round(values / step), 0, self.levels) * step
        return straight_through(values, rounded)


def folded(layer: Layer) -> tuple[Tensor, Tensor]:
    """What batch normalization does in evaluation: gain and bias, float64 (out,) each.

    The layer gives gain * (weights @ x) + bias.
    """
    bias = layer.bias.detach().double()
    norm = layer.norm
    if norm is None:
        return torch.ones_like(bias), bias
    assert norm.running_mean is not None
    assert norm.running_var is not None
    deviation = torch.sqrt(norm.running_var.double() + norm.eps)
    gain = norm.weight.detach().double() / deviation
    return gain, (bias - norm.running_mean.double()) * gain + norm.bias.detach().double()
