"""Choice of encodings: the first in rank that serves a layer, unless the user says."""

from __future__ import annotations

from collections.abc import Mapping

from kernels.encodings import encodings, find_encoding
from kernels.errors import Unsupported
from kernels.ir import Graph, Range
from kernels.ops.linear import Linear


def choose_encodings(
    graph: Graph, ranges: Mapping[str, Range], wanted: Mapping[str, str]
) -> dict[str, str]:
    """The encoding of every layer that has weights, by the layer's name.

    Raises Unsupported for a layer or an encoding that does not exist, or does not hold the weights.
    """
    layers = {node.name: node for node in graph.nodes if isinstance(node, Linear)}
    unknown = sorted(set(wanted) - set(layers))
    if unknown:
        raise Unsupported(f"{graph.name} has no layer {unknown[0]!r} with weights")
    return {
        name: _choose(layer, ranges[layer.input.name], wanted.get(name))
        for name, layer in layers.items()
    }


def _choose(layer: Linear, x: Range, wanted: str | None) -> str:
    bits = layer.accumulator_bits(x)
    problems = {name: e.problem(layer.weights, bits) for name, e in encodings().items()}
    fitting = [name for name, problem in problems.items() if problem is None]
    if wanted is None:
        return min(fitting, key=lambda name: encodings()[name].RANK)
    find_encoding(wanted)
    if problems[wanted]:
        raise Unsupported(f"{layer.name}: {wanted} {problems[wanted]}; use {' or '.join(fitting)}")
    return wanted
