"""From a trained network to layers that can be settled, and to plain float parameters."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.compress.layer import folded
from models.compress.methods import PostTraining
from models.compress.network import Network
from models.errors import ModelError
from models.export import LevelLayer, RealLayer, per_layer

Parameters = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""Per layer the weights, float32 (out, in), and the bias, float32 (out,)."""


def parameters_of(network: Network) -> Parameters:
    """What a float network needs to give the same logits, normalization folded.

    Where weights are quantized, these are levels * scale.
    """
    found = []
    for layer in network.stack:
        gain, bias = folded(layer)
        weight = layer.used_weight().detach().double() * gain[:, None]
        found.append((weight.float().numpy(), bias.float().numpy()))
    return tuple(found)


def layers_of(
    network: Network, post_training: PostTraining | None = None
) -> tuple[RealLayer | LevelLayer, ...]:
    """The layers to settle, in order.

    A network trained with quantized weights keeps its levels. Another is quantized after training,
    to int8 with a scale per row unless `post_training` says otherwise. Raises ModelError for
    parameters that are NaN or infinite.
    """
    for name, parameter in network.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ModelError(f"{name} holds NaN or infinity; train again")
    if network.quantized:
        return tuple(layer.leveled() for layer in network.stack)
    how = post_training or PostTraining()
    real = [
        RealLayer(weight.astype(np.float64), bias.astype(np.float64))
        for weight, bias in parameters_of(network)
    ]
    return tuple(real if how.per_row else (per_layer(layer, max_weight(how)) for layer in real))


def max_weight(how: PostTraining) -> int:
    """The largest integer weight: 127 for 8 bits, 7 for 4."""
    return (1 << (how.bits - 1)) - 1
