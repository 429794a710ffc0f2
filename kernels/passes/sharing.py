"""Sharing: which tensors lie in the same bytes, and how long these must be kept.

1. A view lies where its input lies.
2. An op that can work in place writes over an input of the same size if nothing reads that, or
   anything else in the same bytes, afterwards, and none of it is a result of the graph.
3. All other tensors have bytes of their own, as many as their form asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kernels.emit import Scratch, tensor_symbol
from kernels.image import Buffer
from kernels.ir import Graph, Node, Sharing, Tensor


@dataclass
class _Place:
    """Bytes that one or more tensors share; the layers that write them first and read them last.

    formed: what the only tensor takes whose form is not dense.
    """

    tensors: list[Tensor]
    first: int
    last: int
    formed: Scratch | None = None

    def buffer(self) -> Buffer:
        symbol, *aliases = (tensor_symbol(tensor) for tensor in self.tensors)
        size, align = self.tensors[0].size, 1
        if self.formed:
            size, align = self.formed.size, self.formed.align
        return Buffer(symbol, size, align, self.first, self.last, tuple(aliases))


def tensor_buffers(graph: Graph, formed: Mapping[str, Scratch]) -> list[Buffer]:
    """The buffers of all tensors, in the order in which they are first written.

    formed: what tensors take whose form is not dense, by name.
    """
    last = _last_reads(graph)
    places = {graph.input.name: _Place([graph.input], -1, last[graph.input.name])}
    for step, node in enumerate(graph.nodes):
        shared = _shared_place(node, [places[name] for name in node.inputs], step)
        place = shared or _Place([], step, step, formed.get(node.output.name))
        place.tensors.append(node.output)
        place.last = max(place.last, last[node.output.name])
        places[node.output.name] = place
    unique = {id(place): place for place in places.values()}
    return [place.buffer() for place in unique.values()]


def _last_reads(graph: Graph) -> dict[str, int]:
    """The step that reads each tensor last: of results the end, of unread ones their own."""
    last = {graph.input.name: -1} | {n.output.name: i for i, n in enumerate(graph.nodes)}
    last |= {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    return last | dict.fromkeys(graph.outputs, len(graph.nodes))


def _shared_place(node: Node, sources: list[_Place], step: int) -> _Place | None:
    """The place of an input that the node's output may take, if there is one."""
    if node.sharing is Sharing.VIEW:
        return sources[0]
    if node.sharing is Sharing.IN_PLACE:
        for place in sources:
            if place.last <= step and place.tensors[0].size == node.output.size:
                return place
    return None
