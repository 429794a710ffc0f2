"""Emission: every layer's assembly, and the SRAM it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kernels.emit import Job, Shared, find_emitter, tensor_symbol
from kernels.image import Buffer
from kernels.ir import Graph, Range
from kernels.isa import Isa
from kernels.target import Target


@dataclass(frozen=True, eq=False, slots=True)
class Emission:
    """The layers in order, and the constants that they share, by symbol."""

    jobs: list[Job] = field(default_factory=list)
    shared: dict[str, Shared] = field(default_factory=dict)


def emit_layers(
    graph: Graph,
    target: Target,
    isa: Isa,
    ranges: Mapping[str, Range],
    encodings: Mapping[str, str],
    *,
    far: bool,
) -> Emission:
    """Write every layer; `far` where constants may lie beyond the first 64 KiB of flash."""
    emission = Emission()
    for node in graph.nodes:
        emit = find_emitter(target.isa, node, encodings.get(node.name))
        job = Job(node, target, isa, ranges, emission.shared, far)
        emit(job)
        emission.jobs.append(job)
    return emission


def lifetimes(graph: Graph, emission: Emission) -> list[Buffer]:
    """Every tensor and scratch with the layers during which it must keep its bytes."""
    end = len(graph.nodes)
    written = {graph.input.name: -1} | {n.output.name: i for i, n in enumerate(graph.nodes)}
    read = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    read |= dict.fromkeys(graph.outputs, end)
    tensors = [
        Buffer(
            tensor_symbol(tensor),
            tensor.size,
            align=1,
            first=written[name],
            last=read.get(name, written[name]),
        )
        for name, tensor in graph.tensors.items()
    ]
    scratches = [
        Buffer(scratch.symbol, scratch.size, scratch.align, step, step)
        for step, job in enumerate(emission.jobs)
        for scratch in job.scratches
    ]
    return tensors + scratches
