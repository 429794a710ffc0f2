"""Choice of encodings: the smallest one that holds a layer's weights, unless the user says."""

from __future__ import annotations

from collections.abc import Mapping

from kernels.encodings import dense8, encodings, find_encoding, index_lists
from kernels.errors import Unsupported
from kernels.ir import Graph
from kernels.ops.linear import Linear


def choose_encodings(graph: Graph, wanted: Mapping[str, str]) -> dict[str, str]:
    """The encoding of every layer that has weights, by the layer's name.

    Raises Unsupported for a layer or an encoding that does not exist, or does not hold the weights.
    """
    layers = {node.name: node for node in graph.nodes if isinstance(node, Linear)}
    unknown = sorted(set(wanted) - set(layers))
    if unknown:
        raise Unsupported(f"{graph.name} has no layer {unknown[0]!r} with weights")
    return {name: _choose(layer, wanted.get(name)) for name, layer in layers.items()}


def _choose(layer: Linear, wanted: str | None) -> str:
    name = wanted or (index_lists.NAME if index_lists.supports(layer.weights) else dense8.NAME)
    if not find_encoding(name).supports(layer.weights):
        others = [other for other, e in encodings().items() if e.supports(layer.weights)]
        raise Unsupported(
            f"{layer.name}: {name} cannot hold weights of "
            f"[{layer.weights.min()}, {layer.weights.max()}]; use {' or '.join(others)}"
        )
    return name
