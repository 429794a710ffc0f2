"""Emission: every layer's assembly, and the SRAM it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernels.emit import Job, Scratch, Shared, find_emitter
from kernels.errors import Unsupported
from kernels.image import Buffer
from kernels.ir import Graph, Node
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
        if choice and choice.kept:
            _check_kept(graph, node, choice.kept)
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


def _check_kept(graph: Graph, node: Node, kept: int) -> None:
    """Unsupported where there is more to run again than what follows a layer's kept sums."""
    if node is not graph.nodes[0] or not 0 < kept < graph.input.count:
        raise Unsupported(
            f"{node.name}: sums are kept of some first inputs of the graph's first layer, "
            f"{graph.nodes[0].name}, of 1 to {graph.input.count - 1}"
        )


def _scratch_buffer(scratch: Scratch, step: int, steps: int) -> Buffer:
    first, last = (0, steps) if scratch.kept else (step, step)
    return Buffer(scratch.symbol, scratch.size, scratch.align, first, last)


def lifetimes(graph: Graph, emission: Emission) -> list[Buffer]:
    """Every tensor and scratch with the layers during which it must keep its bytes."""
    formed = {job.node.output.name: job.buffer for job in emission.jobs if job.buffer}
    scratches = [
        _scratch_buffer(scratch, step, len(graph.nodes))
        for step, job in enumerate(emission.jobs)
        for scratch in job.scratches
    ]
    return tensor_buffers(graph, formed) + scratches
