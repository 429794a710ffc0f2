"""Forms of tensors: dense, unless a tensor's writer and its only reader share a better one."""

from __future__ import annotations

from collections.abc import Mapping

from kernels.choice import Choice
from kernels.emit import Emitter, find_emitter
from kernels.forms import Form
from kernels.ir import Graph, Node, Range


def choose_forms(
    graph: Graph, isa: str, ranges: Mapping[str, Range], choices: Mapping[str, Choice]
) -> dict[str, Form]:
    """The form of every tensor that is not dense, by name: the first that its reader wants."""
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)

    def emitter_of(node: Node) -> Emitter:
        return find_emitter(isa, node, choices.get(node.name), graph.inputs_of(node))

    forms = {}
    for writer in graph.nodes:
        name = writer.output.name
        if name in graph.outputs or len(readers.get(name, ())) != 1:
            continue
        (reader,) = readers[name]
        for form in emitter_of(reader).reads:
            if form in emitter_of(writer).writes and form.serves(writer, reader, ranges):
                forms[name] = form
                break
    return forms
