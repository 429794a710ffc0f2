"""From a trained network to float layers, and to those that can be settled."""

from __future__ import annotations

import torch

from models.compress.methods import PostTraining
from models.compress.network import Network
from models.errors import ModelError
from models.export import LevelLayer, RealLayer, per_layer


def float_layers(network: Network) -> tuple[RealLayer | LevelLayer, ...]:
    """What a float network needs to give the same logits, normalization folded.

    Where training quantized the weights, levels and scales. Others are rounded to half precision,
    which makes checkpoints half as large. Raises ModelError for parameters that are NaN or
    infinite.
    """
    for name, parameter in network.named_parameters():
        if not torch.isfinite(parameter).all():
            raise ModelError(f"{name} holds NaN or infinity; train again")
    if network.quantized:
        return tuple(layer.leveled() for layer in network.stack)
    return tuple(
        RealLayer(
            layer.used_weight().detach().double().numpy(), layer.bias.detach().double().numpy()
        )
        for layer in network.stack
    )


def layers_of(
    network: Network, post_training: PostTraining | None = None
) -> tuple[RealLayer | LevelLayer, ...]:
    """The layers to settle, in order.

    A network trained with quantized weights keeps its levels. Another is quantized after training,
    to int8 with a scale per row unless `post_training` says otherwise. Raises ModelError for
    parameters that are NaN or infinite.
    """
    how = post_training or PostTraining()
    return tuple(
        layer if isinstance(layer, LevelLayer) or how.per_row else per_layer(layer, max_weight(how))
        for layer in float_layers(network)
    )


def max_weight(how: PostTraining) -> int:
    """The largest integer weight: 127 for 8 bits, 7 for 4."""
    return (1 << (how.bits - 1)) - 1
