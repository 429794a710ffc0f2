"""Choice of encodings: the first in rank that serves a layer, unless the user says."""

from __future__ import annotations

from collections.abc import Mapping

from kernels.choice import Choice, Choices, as_choice
from kernels.emit import kernels_for
from kernels.encodings import encodings, find_encoding
from kernels.errors import Unsupported
from kernels.ir import Graph, Range
from kernels.ops.matrix_product import MatrixProduct
from kernels.target import Target


def choose_encodings(
    graph: Graph, target: Target, ranges: Mapping[str, Range], wanted: Choices
) -> dict[str, Choice]:
    """How every layer that has weights holds them, by the layer's name.

    Without a wish a layer gets the first in rank of those that have a kernel for the target.
    Raises Unsupported for a layer or an encoding that does not exist, or does not serve the layer.
    """
    layers = {node.name: node for node in graph.nodes if isinstance(node, MatrixProduct)}
    unknown = sorted(set(wanted) - set(layers))
    if unknown:
        raise Unsupported(f"{graph.name} has no layer {unknown[0]!r} with weights")
    return {
        name: _choose(layer, target, ranges[layer.input.name], wanted.get(name))
        for name, layer in layers.items()
    }


def encoding_problems(layer: MatrixProduct, target: Target, x: Range) -> dict[str, str | None]:
    """Why each encoding does not serve a layer whose inputs lie in `x`; None where it does."""
    bits = layer.accumulator_bits(x)
    return {name: _problem(layer, target, bits, name) for name in encodings()}


def _problem(layer: MatrixProduct, target: Target, bits: int, name: str) -> str | None:
    """Why an encoding does not serve a layer with accumulators of so many bits."""
    kernels = kernels_for(target.isa, type(layer))
    problem = encodings()[name].problem(layer.matrix, bits, layer.input.dtype)
    if problem:
        return problem
    if name not in kernels:
        return f"has no {target.isa} kernel for {type(layer).__name__}"
    return kernels[name].refusal(target)


def _choose(layer: MatrixProduct, target: Target, x: Range, wanted: str | Choice | None) -> Choice:
    if wanted is None:
        return _first(layer, encoding_problems(layer, target, x))
    choice = as_choice(wanted)
    find_encoding(choice.encoding)
    problem = _problem(layer, target, layer.accumulator_bits(x), choice.encoding)
    if problem:
        others = _serving(encoding_problems(layer, target, x))
        instead = f"; use {' or '.join(others)}" if others else ""
        raise Unsupported(f"{layer.name}: {choice.encoding} {problem}{instead}")
    return choice


def _serving(problems: Mapping[str, str | None]) -> list[str]:
    return [name for name, problem in problems.items() if problem is None]


def _first(layer: MatrixProduct, problems: Mapping[str, str | None]) -> Choice:
    """The first in rank of those that serve."""
    fitting = _serving(problems)
    if not fitting:
        reasons = "; ".join(f"{name} {problem}" for name, problem in problems.items())
        raise Unsupported(f"{layer.name}: no encoding serves it: {reasons}")
    return Choice(min(fitting, key=lambda name: encodings()[name].RANK))
