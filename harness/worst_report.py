"""The worst case of a program beside what was measured: the bound, the slowest run, the gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.run import Run, Runner
from harness.table import Heading, Table
from harness.worst_case import Bound, layer_bounds, program_bound
from harness.worst_inputs import search_worst
from kernels.compile import link_draft
from kernels.draft import Draft


@dataclass(frozen=True, eq=False, slots=True)
class WorstCase:
    """bound: of the whole program, None where a layer has none. layers: their bounds, in order.

    measured: the slowest run of the given inputs. found: the slowest that a search came upon; of
    each layer, its slowest run in all of these.
    """

    bound: int | None
    layers: tuple[Bound, ...]
    measured: Run
    found: Run
    slowest: dict[str, int]


def worst_case(draft: Draft, inputs: NDArray[Any], *, steps: int) -> WorstCase:
    """Bound a program, run some inputs, integers (n, *shape), and climb from the slowest."""
    runner = Runner(link_draft(draft))
    runs = [runner.infer(x) for x in inputs]
    found = search_worst(runner, inputs, steps=steps).run
    cycles = [np.array([*run.layer_cycles.values()]) for run in (*runs, found)]
    slowest = dict(zip(found.layer_cycles, np.max(cycles, axis=0).tolist(), strict=True))
    return WorstCase(
        program_bound(draft),
        layer_bounds(draft),
        max(runs, key=lambda run: run.cycles),
        found,
        slowest,
    )


def worst_table(worst: WorstCase) -> Table:
    """A row per layer, and one for the whole; why a bound is not known stands in its place."""
    headings = (
        Heading("layer", left=True),
        Heading("slowest run"),
        Heading("bound"),
        Heading("bound / run"),
    )
    rows = [_row(one.layer, worst.slowest[one.layer], one) for one in worst.layers]
    rows.append(_row("all, given inputs", worst.measured.cycles, Bound("", worst.bound, "-")))
    rows.append(_row("all, searched", worst.found.cycles, Bound("", worst.bound, "-")))
    return Table("worst case", headings, tuple(rows), frozenset({len(worst.layers)}))


def worst_content(worst: WorstCase) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "bound": worst.bound,
        "cycles_max": worst.measured.cycles,
        "cycles_found": worst.found.cycles,
        "layers": [
            {
                "layer": one.layer,
                "bound": one.cycles,
                "problem": one.problem or None,
                "cycles_max": worst.slowest[one.layer],
            }
            for one in worst.layers
        ],
    }


def _row(name: str, cycles: int, bound: Bound) -> tuple[str, ...]:
    if bound.cycles is None:
        return (name, f"{cycles:,}", f"unknown: {bound.problem}", "-")
    gap = f"{bound.cycles / cycles:.2f}" if cycles else "-"  # Flatten takes none
    return (name, f"{cycles:,}", f"{bound.cycles:,}", gap)
