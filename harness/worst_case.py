"""An upper bound of a program's cycles, from its code and its weights, for any input promised.

The longest path is a linear program (implicit path enumeration): how often each edge of the control
flow is taken, such that every instruction is left as often as it is entered, calls return where
they came from, and no promise of an emitter (`Job.at_most`) is exceeded. Its maximum is no less
than what any input takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

import numpy as np

from kernels.draft import Draft
from kernels.emit import Job
from kernels.flow import ENTRY, EXIT, Flow, UnknownFlow, flow_of, place

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_ENDLESS = 1e8  # executions of an edge that only a loop without a promise reaches


@dataclass(frozen=True, slots=True)
class Bound:
    """Cycles that a layer cannot exceed; None where that is not known, and why."""

    layer: str
    cycles: int | None
    problem: str = ""


def layer_bounds(draft: Draft) -> tuple[Bound, ...]:
    """The bound of every layer, in order."""
    return tuple(_layer_bound(job) for job in draft.emission.jobs)


def program_bound(draft: Draft) -> int | None:
    """The bound of one inference, the final return included; None if a layer has none."""
    cycles = [bound.cycles for bound in layer_bounds(draft)]
    known = [count for count in cycles if count is not None]
    return sum(known) + _final_return(draft) if len(known) == len(cycles) else None


def _final_return(draft: Draft) -> int:
    (back,) = (piece for piece in draft.pieces if piece.part.name == "return")
    (instruction,) = back.text.block.instructions
    return instruction.form.cycles + 2 * draft.target.m1_wait


def _layer_bound(job: Job) -> Bound:
    try:
        return Bound(job.node.name, _longest(job, flow_of(job)))
    except UnknownFlow as unknown:
        return Bound(job.node.name, None, str(unknown))


def _longest(job: Job, flow: Flow) -> int:
    """The maximum; UnknownFlow names a loop that lacks a promise."""
    from scipy.optimize import linprog  # noqa: PLC0415 - half a second, which each start would pay

    edges = flow.edges
    conserved, given = _matrix(len(edges), list(_conservation(flow)))
    limited, limits = _matrix(len(edges), list(_limits(job, flow)))
    found = linprog(
        -np.array([edge.cycles for edge in edges], float),
        A_eq=conserved,
        b_eq=given,
        A_ub=limited,
        b_ub=limits,
        bounds=(0, 10 * _ENDLESS),
        method="highs",
    )
    if not found.success:
        raise UnknownFlow(f"no path through the layer: {found.message}")
    endless = np.flatnonzero(found.x >= _ENDLESS)
    if endless.size:
        raise UnknownFlow(f"no promise how often {place(flow, edges[endless[0]].target)} runs")
    return floor(-float(found.fun) + 1e-6)


Row = tuple[dict[int, float], float]


def _matrix(width: int, rows: list[Row]) -> tuple[csr_array | None, list[float] | None]:
    from scipy.sparse import csr_array  # noqa: PLC0415 - see above

    if not rows:
        return None, None
    cells = [(n, at, value) for n, (row, _) in enumerate(rows) for at, value in row.items()]
    at = ([n for n, _, _ in cells], [column for _, column, _ in cells])
    matrix = csr_array(([value for *_, value in cells], at), shape=(len(rows), width))
    return matrix, [right for _, right in rows]


def _conservation(flow: Flow) -> Iterator[Row]:
    """What goes in comes out; the layer is entered once; calls return as often as they are made."""
    rows: dict[int, dict[int, float]] = {n: {} for n in range(flow.nodes)}
    calls: dict[int, dict[int, float]] = {}
    for number, edge in enumerate(flow.edges):
        for node, sign in ((edge.target, 1.0), (edge.source, -1.0)):
            if node in rows:
                rows[node][number] = rows[node].get(number, 0.0) + sign
        if edge.call is not None:
            sign = 1.0 if edge.source == edge.call else -1.0
            calls.setdefault(edge.call, {})[number] = sign
    yield from ((row, 0.0) for row in (*rows.values(), *calls.values()))
    for node, side in ((ENTRY, "source"), (EXIT, "target")):
        yield {n: 1.0 for n, edge in enumerate(flow.edges) if getattr(edge, side) == node}, 1.0


def _limits(job: Job, flow: Flow) -> Iterator[Row]:
    for name, count in job.limits.items():
        places = flow.places(name)
        yield {n: 1.0 for n, edge in enumerate(flow.edges) if edge.target in places}, float(count)
