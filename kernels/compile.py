"""The compiler, from top to bottom: an integer graph and a target in, a program out."""

from __future__ import annotations

from collections.abc import Mapping

from kernels.choice import Choices
from kernels.emit import tensor_symbol
from kernels.image import Arena, Location, Program
from kernels.ir import Graph, verify
from kernels.passes.arena import alive_at, plan_arena
from kernels.passes.dead_units import remove_dead_units
from kernels.passes.emission import emit_layers, lifetimes
from kernels.passes.encoding import choose_encodings
from kernels.passes.fit import check_fit
from kernels.passes.forms import choose_forms
from kernels.passes.layout import lay_out, startup_of
from kernels.passes.link import link, source
from kernels.passes.ranges import prove_ranges
from kernels.plan import Plan
from kernels.target import Target

LOWERINGS = (remove_dead_units,)


def compile_graph(graph: Graph, target: Target, encodings: Choices | None = None) -> Program:
    """Compile a graph for a target.

    encodings: choices by layer's name; layers not named get the first in rank that serves.
    Raises a CompilerError: GraphError, AccumulatorOverflow, Unsupported, DoesNotFit.
    """
    verify(graph)
    lowered = lower(graph)
    plan = decide(lowered, target.isa, encodings or {})
    machine = startup_of(target)
    for far in (False, True) if "ELPM" in target.features else (False,):
        emission = emit_layers(lowered, target, machine.ISA, plan, far=far)
        pieces = lay_out(emission, target)
        if pieces[-1].part.address + pieces[-1].part.size <= machine.FAR:
            break
    buffers = lifetimes(lowered, emission)
    arena = plan_arena(buffers, target.arena_alignment)
    check_fit(target, [piece.part for piece in pieces], arena)
    addresses = _addresses(target, arena)
    image = link(target, pieces, addresses)
    return Program(
        graph=graph,
        lowered=lowered,
        target=target,
        choices=plan.choices,
        image=image,
        arena=arena,
        layer_sram={n.name: alive_at(buffers, step) for step, n in enumerate(graph.nodes)},
        tensors=_locations(graph, addresses),
        source=source(target, pieces, addresses),
    )


def lower(graph: Graph) -> Graph:
    """The graph that is emitted: fewer elements between layers, the same outputs bit for bit."""
    for lowering in LOWERINGS:
        graph = lowering(graph)
    return graph


def decide(graph: Graph, isa: str, encodings: Choices) -> Plan:
    """What is known and chosen before code is written, for an instruction set."""
    ranges = prove_ranges(graph)
    choices = choose_encodings(graph, isa, ranges, encodings)
    return Plan(ranges, choices, choose_forms(graph, isa, ranges, choices))


def _addresses(target: Target, arena: Arena) -> dict[str, int]:
    origin = target.arena_origin(arena.size)
    return {symbol: origin + offset for symbol, offset in arena.offsets.items()}


def _locations(graph: Graph, addresses: Mapping[str, int]) -> dict[str, Location]:
    tensors = [graph.tensors[name] for name in (graph.input.name, *graph.outputs)]
    return {t.name: Location(addresses[tensor_symbol(t)], t.dtype, t.shape) for t in tensors}
