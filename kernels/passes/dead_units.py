"""Dead units: elements between layers that never vary, or that no weight uses, are not computed.

A unit whose proven range is a single value is a constant: what it adds to its readers goes into
their biases. That covers units without weights, units whose inputs are all constant, and those that
ReLU silences for every input within the promised bounds. Outputs are the same bit for bit. Only
tensors between layers shrink: the graph's input and outputs are the user's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Bounds, Graph, Node, Range, Tensor
from kernels.passes.ranges import prove_ranges

Indices = NDArray[np.int64]


@runtime_checkable
class WritesUnits(Protocol):
    """An op whose output's elements can be computed apart from each other."""

    def with_units(self, keep: Indices, output: Tensor) -> Node:
        """The same layer that computes only these units, in that order."""


@runtime_checkable
class ReadsUnits(Protocol):
    """An op that can do without some of its input's elements."""

    @property
    def used_inputs(self) -> NDArray[np.bool_]:
        """Which elements of the input matter, bool (inputs,)."""

    def with_inputs(self, keep: Indices, values: NDArray[np.int64], source: Tensor) -> Node | None:
        """The same layer reading only `keep`, in that order; the others always have `values`.

        values: int64 (inputs,). None where the record cannot say it.
        """


def remove_dead_units(graph: Graph) -> Graph:
    """The graph without its dead units; at least one unit of each tensor stays."""
    smaller: Graph | None = graph
    while smaller is not None:
        graph = smaller
        ranges = prove_ranges(graph)
        found = (_without_dead(graph, node, ranges[node.output.name]) for node in graph.nodes)
        smaller = next((g for g in found if g is not None), None)
    return graph


def select_units(
    graph: Graph, writer: Node, keep: Indices, values: NDArray[np.int64]
) -> Graph | None:
    """The graph with only these units of a tensor, in that order; the others have `values`.

    None where an op that writes or reads the tensor cannot, or a graph's output would change.
    """
    old = writer.output
    readers = [node for node in graph.nodes if old.name in node.inputs]
    if old.name in graph.outputs or not isinstance(writer, WritesUnits):
        return None
    bounds = None if isinstance(old.bounds, Bounds) else old.bounds
    tensor = replace(old, shape=(len(keep),), bounds=bounds)
    changed = {writer.name: writer.with_units(keep, tensor)}
    for reader in readers:
        new = reader.with_inputs(keep, values, tensor) if isinstance(reader, ReadsUnits) else None
        if new is None:
            return None
        changed[reader.name] = new
    return replace(graph, nodes=tuple(changed.get(n.name, n) for n in graph.nodes))


def _without_dead(graph: Graph, writer: Node, proven: Range) -> Graph | None:
    """The graph with fewer units of the tensor that a node writes; None if all are needed."""
    readers = [node for node in graph.nodes if writer.output.name in node.inputs]
    if writer.output.count == 1 or not all(isinstance(node, ReadsUnits) for node in readers):
        return None
    lows, highs = proven.elements(writer.output.count)
    used = np.zeros(len(lows), bool)
    for reader in readers:
        assert isinstance(reader, ReadsUnits)
        used |= reader.used_inputs
    alive = used & (lows < highs)
    if alive.all():
        return None
    alive[0] |= not alive.any()
    return select_units(graph, writer, np.flatnonzero(alive), lows)
