"""Order of hidden units: where nobody sees it, it is the one that the layer's encoding likes best.

Rows of a layer and columns of its readers move together, so outputs are the same bit for bit. An
encoding that works on groups of rows says what a group costs (`kernels/grouping.py`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kernels.choice import Choice
from kernels.encodings import Encoding, find_encoding
from kernels.grouping import Grouping, arrange
from kernels.ir import Graph, Node
from kernels.ops.linear import Linear
from kernels.passes.dead_units import Indices, select_units
from kernels.passes.ranges import prove_ranges
from kernels.plan import Plan


@runtime_checkable
class GroupsRows(Encoding, Protocol):
    """An encoding to which the order of rows matters."""

    def grouping(self, weights: NDArray[np.int8]) -> Grouping:
        """What groups of rows of a matrix, int8 (out, in), cost."""


def order_units(graph: Graph, plan: Plan) -> tuple[Graph, Plan]:
    """The graph with hidden units in the order that suits the choices, and the plan for it."""
    choices = dict(plan.choices)
    ordered = graph
    for name in plan.choices:
        layer = _node(ordered, name)
        order = unit_order(layer, choices[name])
        moved = None if order is None else _moved(ordered, layer, order)
        if order is None or moved is None:
            continue
        for reader in graph.nodes:
            if layer.output.name in reader.inputs and reader.name in choices:
                choices[reader.name] = _reordered(choices[reader.name], order)
        ordered = moved
    if ordered is graph:
        return graph, plan
    return ordered, replace(plan, ranges=prove_ranges(ordered), choices=choices)


def hides_units(graph: Graph, name: str) -> bool:
    """Whether a layer's units may lie in any order."""
    layer = _node(graph, name)
    return _moved(graph, layer, np.arange(layer.output.count)) is not None


def unit_order(layer: Node, choice: Choice) -> Indices | None:
    """The order that suits a layer's choice, int64 (units,); None where it is as good as any."""
    encoding = find_encoding(choice.encoding)
    if not (isinstance(layer, Linear) and isinstance(encoding, GroupsRows)):
        return None
    weights = layer.weights
    order = _order(choice.encoding, weights.tobytes(), weights.shape)
    refused = encoding.problem(weights[list(order)], 0, layer.input.dtype)
    return None if refused else np.array(order, np.int64)


@lru_cache(maxsize=64)
def _order(name: str, weights: bytes, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A plan is drafted more than once, and the same layer is in many plans."""
    encoding = find_encoding(name)
    assert isinstance(encoding, GroupsRows)
    matrix = np.frombuffer(weights, np.int8).reshape(shape)
    return tuple(arrange(encoding.grouping(matrix)).tolist())


def _moved(graph: Graph, layer: Node, order: Indices) -> Graph | None:
    return select_units(graph, layer, order, np.zeros(len(order), np.int64))


def _node(graph: Graph, name: str) -> Node:
    return next(node for node in graph.nodes if node.name == name)


def _reordered(choice: Choice, order: Indices) -> Choice:
    """What a choice tells of inputs that now come in that order."""
    hot = np.flatnonzero(np.isin(order, choice.hot)).tolist()
    rates = tuple(choice.rates[unit] for unit in order) if choice.rates else ()
    return replace(choice, hot=tuple(hot), rates=rates)
