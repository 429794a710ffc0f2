"""Choice of encodings: the first in rank that serves a layer, unless the user says."""

from __future__ import annotations

from collections.abc import Mapping

from kernels.choice import Choice, Choices, as_choice
from kernels.emit import encodings_of
from kernels.encodings import encodings, find_encoding
from kernels.errors import Unsupported
from kernels.ir import Graph, Range
from kernels.ops.matrix_product import MatrixProduct


def choose_encodings(
    graph: Graph, isa: str, ranges: Mapping[str, Range], wanted: Choices
) -> dict[str, Choice]:
    """How every layer that has weights holds them, by the layer's name.

    Raises Unsupported for a layer or an encoding that does not exist, or does not hold the weights.
    """
    layers = {node.name: node for node in graph.nodes if isinstance(node, MatrixProduct)}
    unknown = sorted(set(wanted) - set(layers))
    if unknown:
        raise Unsupported(f"{graph.name} has no layer {unknown[0]!r} with weights")
    return {
        name: _choose(layer, isa, ranges[layer.input.name], wanted.get(name))
        for name, layer in layers.items()
    }


def _choose(layer: MatrixProduct, isa: str, x: Range, wanted: str | Choice | None) -> Choice:
    bits = layer.accumulator_bits(x)
    known = encodings_of(isa, type(layer))
    problems = {name: encodings()[name].problem(layer.matrix, bits) for name in known}
    fitting = [name for name, problem in problems.items() if problem is None]
    if wanted is None:
        return Choice(min(fitting, key=lambda name: encodings()[name].RANK))
    choice = as_choice(wanted)
    find_encoding(choice.encoding)
    problem = problems.get(choice.encoding, f"has no {isa} kernel for {type(layer).__name__}")
    if problem:
        raise Unsupported(f"{layer.name}: {choice.encoding} {problem}; use {' or '.join(fitting)}")
    return choice
