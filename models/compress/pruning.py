"""Pruning: hidden units leave the network, or single weights become zero for good."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.compress.layer import Layer
from models.compress.network import Network
from models.compress.options import Importance


def prune_units(
    network: Network, inputs: NDArray[np.uint8], share: float, importance: Importance
) -> Network:
    """A smaller network without the least important `share` of each hidden layer's units.

    inputs: uint8 (n, in), for activities. At least one unit of each layer stays; units keep their
    order. Raises ValueError for a share outside [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"share {share} is outside [0, 1)")
    kept = [_most_important(scores, share) for scores in unit_scores(network, inputs, importance)]
    return keep_units(network, kept)


def unit_scores(
    network: Network, inputs: NDArray[np.uint8], importance: Importance
) -> list[Tensor]:
    """The importance of every hidden unit, (units,) per hidden layer."""
    layers = network.stack
    with torch.no_grad():
        leaving = [layer.used_weight().norm(dim=0) for layer in layers[1:]]
        if importance is Importance.ACTIVITY:
            network.eval()
            counts = torch.tensor(inputs, dtype=torch.float32)
            arriving = [values.mean(0) for values in network.activations(counts)[:-1]]
        else:
            arriving = [
                torch.hypot(layer.used_weight().norm(dim=1), layer.bias.abs())
                for layer in layers[:-1]
            ]
    return [a * b for a, b in zip(arriving, leaving, strict=True)]


def keep_units(network: Network, kept: list[Tensor]) -> Network:
    """The network with only those hidden units; `kept` holds indices per hidden layer."""
    layers = network.stack
    rows = [*kept, torch.arange(len(layers[-1].weight))]
    columns = [torch.arange(network.sizes[0]), *kept]
    sizes = [network.sizes[0], *(len(row) for row in rows)]
    smaller = Network(sizes, network.input_scale, network.activation_dtype)
    for layer, source, row, column in zip(smaller.stack, layers, rows, columns, strict=True):
        _copy_part(layer, source, row, column)
    return smaller


def mask_smallest(network: Network, sparsity: float) -> None:
    """Mask that share of every layer's weights, the smallest ones; masked ones stay so."""
    for layer in network.stack:
        magnitudes = (layer.weight.detach() * layer.mask).abs().flatten()
        count = round(sparsity * magnitudes.numel())
        smallest = torch.argsort(magnitudes, stable=True)[:count]
        mask = layer.mask.flatten().clone()
        mask[smallest] = 0
        layer.mask.copy_(mask.view_as(layer.mask))


def gradual(sparsity: float, epoch: int, ramp: int) -> float:
    """The sparsity of an epoch, from 0 on: a cubic that reaches `sparsity` at epoch `ramp`."""
    return sparsity * (1 - (1 - min(epoch / ramp, 1)) ** 3)


def _most_important(scores: Tensor, share: float) -> Tensor:
    keep = max(1, math.ceil(len(scores) * (1 - share)))
    return torch.sort(torch.argsort(scores, descending=True, stable=True)[:keep]).values


def _copy_part(layer: Layer, source: Layer, rows: Tensor, columns: Tensor) -> None:
    layer.weight.data = source.weight.data[rows][:, columns].clone()
    layer.bias.data = source.bias.data[rows].clone()
    layer.mask = source.mask[rows][:, columns].clone()
    layer.peak = source.peak.clone()
    layer.quantizer = source.quantizer
    if source.norm is not None:
        layer.norm = nn.BatchNorm1d(len(rows), eps=source.norm.eps)
        state = source.norm.state_dict()
        part = {name: value[rows] if value.dim() else value for name, value in state.items()}
        layer.norm.load_state_dict(part)
