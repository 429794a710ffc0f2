"""The network that is trained and compressed: a perceptron whose layers can be fake-quantized."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.compress.quantizers import WeightQuantizer, fake_quantize, straight_through
from models.export.layers import ACTIVATION_LEVELS

_PEAK_DECAY = 0.99


class Layer(nn.Module):
    """Linear, then batch normalization where there is one, then, if hidden, ReLU.

    weight: (out, in). bias: (out,). mask: (out, in) of 0 and 1; pruned weights are 0.
    peak: a running maximum of the activations while training with quantized ones. levels: steps of
    those from zero to the peak.
    """

    mask: Tensor
    peak: Tensor

    def __init__(self, inputs: int, outputs: int, *, hidden: bool, levels: int) -> None:
        super().__init__()
        linear = nn.Linear(inputs, outputs)
        self.weight, self.bias = linear.weight, linear.bias
        self.hidden, self.levels = hidden, levels
        self.norm: nn.BatchNorm1d | None = None
        self.quantizer: WeightQuantizer | None = None
        self.register_buffer("mask", torch.ones_like(linear.weight))
        self.register_buffer("peak", torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        """(batch, in) to (batch, out)."""
        values = functional.linear(values, self.used_weight(), self.bias)
        if self.norm is not None:
            values = self.norm(values)
        if not self.hidden:
            return values
        values = torch.relu(values)
        return values if self.quantizer is None else self._quantized(values)

    def used_weight(self) -> Tensor:
        """The weights as the forward pass takes them, (out, in), without normalization."""
        weight = self.weight * self.mask
        if self.quantizer is None:
            return weight
        return fake_quantize(weight, self.quantizer) * self.mask

    def _quantized(self, values: Tensor) -> Tensor:
        """Activations in equal steps up to the peak, saturated there; straight through."""
        with torch.no_grad():
            if self.training:
                self.peak.copy_(torch.maximum(self.peak * _PEAK_DECAY, values.max()))
            step = (self.peak / self.levels).clamp_min(1e-12)
            rounded = torch.clamp(torch.round(values / step), 0, self.levels) * step
        return straight_through(values, rounded)


class Network(nn.Module):
    """A perceptron of the given sizes, inputs first and classes last.

    Its input is counts, float32 (batch, in), as they enter the device; they are worth
    `input_scale` each. Its output is logits, float32 (batch, classes). activations: the dtype that
    hidden activations have on the device.
    """

    def __init__(
        self, sizes: Sequence[int], input_scale: float = 1.0, activations: str = "uint8"
    ) -> None:
        super().__init__()
        self.input_scale, self.activation_dtype = input_scale, activations
        self.dropout = 0.0
        self.layers = nn.ModuleList(
            Layer(
                inputs,
                outputs,
                hidden=place < len(sizes) - 2,
                levels=ACTIVATION_LEVELS[activations],
            )
            for place, (inputs, outputs) in enumerate(pairwise(sizes))
        )

    @property
    def stack(self) -> list[Layer]:
        """The layers in order."""
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Units of the input and of each layer."""
        layers = self.stack
        return (layers[0].weight.shape[1], *(len(layer.weight) for layer in layers))

    @property
    def quantized(self) -> bool:
        """Whether weights are quantized while training."""
        return self.stack[0].quantizer is not None

    def forward(self, counts: Tensor) -> Tensor:
        """Logits."""
        values = counts * self.input_scale
        for layer in self.layers:
            values = layer(functional.dropout(values, self.dropout, self.training))
        return values

    def activations(self, counts: Tensor) -> list[Tensor]:
        """Outputs of every layer, (batch, units) each; the logits last."""
        found = [counts * self.input_scale]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return found[1:]

    def quantize(self, quantizer: WeightQuantizer, *, norm: bool = False) -> None:
        """Quantize weights and activations from here on; with `norm`, normalize batches, too."""
        if norm and not quantizer.symmetric:
            raise ValueError("normalization may negate levels, which these quantizers do not allow")
        for layer in self.stack:
            layer.quantizer = quantizer
            if norm and layer.norm is None:
                layer.norm = nn.BatchNorm1d(len(layer.weight))


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
