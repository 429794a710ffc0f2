"""Emission: every layer's assembly, and the SRAM it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernels.emit import Job, Shared, find_emitter
from kernels.image import Buffer
from kernels.ir import Graph
from kernels.isa import Isa
from kernels.passes.sharing import tensor_buffers
from kernels.plan import Plan
from kernels.target import Target


@dataclass(frozen=True, eq=False, slots=True)
class Emission:
    """The layers in order, and by symbol what they share and what has an absolute symbol."""

    jobs: list[Job] = field(default_factory=list)
    shared: dict[str, Shared] = field(default_factory=dict)


def emit_layers(
    graph: Graph,
    target: Target,
    isa: Isa,
    plan: Plan,
    *,
    far: bool,
) -> Emission:
    """Write every layer; `far` where constants may lie beyond the first 64 KiB of flash."""
    emission, left = Emission(), dict[str, object]()
    writers = {node.output.name: node for node in graph.nodes}
    for node in graph.nodes:
        choice = plan.choices.get(node.name)
        job = Job(
            node,
            target,
            isa,
            plan.ranges,
            emission.shared,
            far,
            left=left,
            choice=choice,
            reads=plan.forms.get(node.inputs[0]),
            writes=plan.forms.get(node.output.name),
            writer=writers.get(node.inputs[0]),
        )
        find_emitter(target.isa, node, choice, graph.inputs_of(node)).write(job)
        emission.jobs.append(job)
    return emission


def lifetimes(graph: Graph, emission: Emission) -> list[Buffer]:
    """Every tensor and scratch with the layers during which it must keep its bytes."""
    formed = {job.node.output.name: job.buffer for job in emission.jobs if job.buffer}
    scratches = [
        Buffer(scratch.symbol, scratch.size, scratch.align, step, step)
        for step, job in enumerate(emission.jobs)
        for scratch in job.scratches
    ]
    return tensor_buffers(graph, formed) + scratches
