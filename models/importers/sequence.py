"""What is a plain sequence of Linear layers and ReLU, as a `FloatNetwork`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.importers.float_network import FloatLayer, FloatNetwork, merged
from models.importers.float_nodes import Affine, Clamp, FloatNode, FloatNodes, Product, Reshape


def as_sequence(name: str, nodes: FloatNodes) -> FloatNetwork | None:
    """The sequence, lines merged with their neighbours; None for anything else."""
    layers: list[FloatLayer] = []
    for number, node in enumerate(nodes.nodes[1:], start=1):
        if node.sources != (number - 1,) or not _append(layers, node):
            return None
    return FloatNetwork(name, nodes.nodes[0].shape, merged(layers))


def _append(layers: list[FloatLayer], node: FloatNode) -> bool:
    """Add a node to the layers; False if it is none of a plain sequence's."""
    match node:
        case Reshape():
            return True
        case Product() if node.weights.ndim == 2:
            layers.append(FloatLayer(node.weights, node.bias))
            return True
        case Affine():
            layers.append(_line(node))
            return True
        case Clamp(low=0.0, high=np.inf):
            if not layers:
                size = int(np.prod(node.shape))
                layers.append(FloatLayer(np.eye(size), np.zeros(size)))
            layers[-1] = replace(layers[-1], relu=True)
            return True
    return False


def _line(node: Affine) -> FloatLayer:
    gain, shift = (np.broadcast_to(v, node.shape).ravel() for v in (node.gain, node.shift))
    return FloatLayer(np.diag(gain), shift.astype(float))
