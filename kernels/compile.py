"""The compiler, from top to bottom: an integer graph and a target in, a program out."""

from __future__ import annotations

from dataclasses import replace

from kernels.choice import Choices
from kernels.draft import Draft
from kernels.image import Program
from kernels.ir import Graph, verify
from kernels.passes.arena import plan_arena
from kernels.passes.dead_units import remove_dead_units
from kernels.passes.emission import Emission, emit_layers, lifetimes
from kernels.passes.encoding import choose_encodings
from kernels.passes.fit import check_fit
from kernels.passes.forms import choose_forms
from kernels.passes.layout import lay_out, startup_of
from kernels.passes.link import link, source
from kernels.passes.piece import Piece
from kernels.passes.ranges import prove_ranges
from kernels.passes.unit_order import order_units
from kernels.plan import Plan
from kernels.target import Target

LOWERINGS = (remove_dead_units,)


def compile_graph(graph: Graph, target: Target, encodings: Choices | None = None) -> Program:
    """Compile a graph for a target.

    encodings: choices by layer's name; layers not named get the first in rank that serves.
    Raises a CompilerError: GraphError, AccumulatorOverflow, Unsupported, DoesNotFit.
    """
    return link_draft(draft_graph(graph, target, encodings))


def draft_graph(graph: Graph, target: Target, encodings: Choices | None = None) -> Draft:
    """Everything but the linked bytes: all sizes are known, whether or not they fit."""
    verify(graph)
    lowered = lower(graph)
    plan = decide(lowered, target, encodings or {})
    ordered, told = order_units(lowered, plan)
    emission, pieces = write(ordered, target, told)
    buffers = lifetimes(ordered, emission)
    arena = plan_arena(buffers, target.arena_alignment)
    told = replace(told, choices=plan.choices)
    return Draft(graph, ordered, target, told, emission, pieces, buffers, arena)


def link_draft(draft: Draft) -> Program:
    """The program of a draft; DoesNotFit where the target has no room for it."""
    check_fit(draft.target, draft.parts, draft.arena)
    return Program(
        graph=draft.graph,
        lowered=draft.lowered,
        target=draft.target,
        choices=draft.plan.choices,
        image=link(draft.target, draft.pieces, draft.addresses),
        arena=draft.arena,
        layer_sram=draft.layer_sram,
        tensors=draft.locations,
        forms={name: form.name for name, form in draft.plan.forms.items()},
        source=source(draft.target, draft.pieces, draft.addresses),
    )


def lower(graph: Graph) -> Graph:
    """The graph that is emitted: fewer elements between layers, the same outputs bit for bit."""
    for lowering in LOWERINGS:
        graph = lowering(graph)
    return graph


def decide(graph: Graph, target: Target, encodings: Choices) -> Plan:
    """What is known and chosen before code is written."""
    ranges = prove_ranges(graph)
    choices = choose_encodings(graph, target, ranges, encodings)
    return Plan(ranges, choices, choose_forms(graph, target.isa, ranges, choices))


def write(lowered: Graph, target: Target, plan: Plan) -> tuple[Emission, list[Piece]]:
    """Every layer's code and constants, and the order of all parts; near loads where they reach."""
    machine = startup_of(target)
    emission = emit_layers(lowered, target, machine.ISA, plan, far=False)
    pieces = lay_out(emission, target)
    if "ELPM" in target.features and pieces[-1].end > machine.FAR:
        emission = emit_layers(lowered, target, machine.ISA, plan, far=True)
        pieces = lay_out(emission, target)
    return emission, pieces
