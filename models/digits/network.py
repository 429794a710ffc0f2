"""The float network, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.digits.data import PIXEL_RANGE
from models.digits.recipe import SIZES, Parameters


def build(parameters: Parameters | None = None) -> nn.Sequential:
    """The network; its input is pixels / 16, float32 (batch, 64), its output logits (batch, 10)."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(SIZES):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    if parameters is not None:
        for layer, (weight, bias) in zip(_linears(network), parameters, strict=True):
            layer.weight.data = torch.tensor(weight)
            layer.bias.data = torch.tensor(bias)
    return network.eval()


def parameters_of(network: nn.Sequential) -> Parameters:
    """Weights and biases of each layer as numpy arrays."""
    return tuple(
        (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())
        for layer in _linears(network)
    )


def activations(network: nn.Sequential, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """What each linear layer, ReLU included, gives for images (n, 64); the logits last."""
    values = scaled(images)
    found = []
    with torch.no_grad():
        for layer in network:
            values = layer(values)
            if isinstance(layer, nn.ReLU):
                found.append(values.numpy())
    return [*found, values.numpy()]


def float_accuracy(
    network: nn.Sequential, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> float:
    """The share of images whose largest logit is the label's."""
    return float(np.mean(activations(network, images)[-1].argmax(axis=1) == labels))


def scaled(images: NDArray[np.uint8]) -> Tensor:
    """Pixels as the network takes them, float32 (n, 64) in [0, 1]."""
    return torch.tensor(images, dtype=torch.float32) / PIXEL_RANGE.high


def _linears(network: nn.Sequential) -> Sequence[nn.Linear]:
    return [layer for layer in network if isinstance(layer, nn.Linear)]
