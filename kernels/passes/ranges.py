"""Range proof: the bounds of every tensor, and the width of every accumulator, from the weights."""

from __future__ import annotations

from kernels.ir import Graph, Range


def prove_ranges(graph: Graph) -> dict[str, Range]:
    """Bounds of every tensor by name, by interval arithmetic from the input's promised bounds.

    Raises AccumulatorOverflow for a layer that no accumulator holds.
    """
    ranges = {graph.input.name: graph.input.range}
    for node in graph.nodes:
        ranges[node.output.name] = node.output_range(*(ranges[name] for name in node.inputs))
    return ranges
