"""A sweep of flash budgets: the plan of least cycles beside every plan of a single encoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10

from harness.cache import Cache
from harness.combine import Plan
from harness.costs import Cost, Workload, program_cost
from harness.limits import limits_of
from harness.pytest_plugin import Cycles
from harness.search import CALIBRATION, NoPlanFits, Search, search, spread
from harness.table import Heading, Table
from harness.text import render
from kernels.target import Target, find_target
from models import Model

KIB = 1024
BUDGETS: Mapping[int, str] = {
    16: "uno",
    20: "uno",
    24: "uno",
    28: "uno",
    32: "atmega328p",
    64: "atmega1284p",
    128: "atmega1284p",
    256: "mega",
}
"""Kibibytes of flash, and the device that they are taken of; the last one keeps its boot loader."""

_WIDTH = 60


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One budget: what the search found, and the plans of one encoding that fit, by encoding."""

    kib: int
    target: Target
    found: Search | None
    uniform: Mapping[str, Cost]


def check_every_budget(cycles: Cycles, model: Model) -> None:
    """No encoding alone is faster than the plan taken, under any budget; note table and plot."""
    steps = list(sweep(model, Cache()))
    cycles.note(render(table(model.name, steps), 120, color=False) + "\n" + plot(model.name, steps))
    assert steps[-1].found is not None
    for step in steps:
        for encoding, cost in step.uniform.items():
            assert step.found is not None
            assert step.found.cost.mean <= cost.mean, (step.kib, encoding)


def sweep(model: Model, cache: Cache) -> Iterator[Step]:
    """Every budget, with the model's calibration inputs."""
    work = Workload(model.graph, spread(model.calibration, CALIBRATION))
    for kib, name in BUDGETS.items():
        target = find_target(name)
        limits = limits_of(target, min(kib * KIB, target.code.size))
        try:
            found = search(model.graph, target, model.calibration, limits, cache=cache)
        except NoPlanFits:
            yield Step(kib, target, None, {})
            continue
        costs = {
            encoding: program_cost(work, plan, target, cache)
            for encoding, plan in _uniform(found).items()
        }
        fitting = {
            encoding: cost
            for encoding, cost in costs.items()
            if isinstance(cost, Cost) and limits.excess(cost.needed) <= 0
        }
        yield Step(kib, target, found, fitting)


def _uniform(found: Search) -> dict[str, Plan]:
    """By encoding, a plan that gives it to every layer that it serves, without hot columns.

    Layers that it does not serve keep what the search gave them.
    """
    names = {one.choice.encoding for one in found.candidates}
    return {
        name: dict(found.plan)
        | {
            one.layer: one.choice
            for one in found.candidates
            if one.choice.encoding == name and not one.choice.hot
        }
        for name in sorted(names)
    }


def table(model: str, steps: Sequence[Step]) -> Table:
    """Budgets as rows; mean cycles of the plan taken and of each encoding alone."""
    names = sorted({name for step in steps for name in step.uniform})
    headings = (
        Heading("KiB"),
        Heading("device", left=True),
        Heading("flash"),
        Heading("taken"),
        *(Heading(name) for name in names),
    )
    rows = []
    for step in steps:
        taken = step.found.cost if step.found else None
        rows.append(
            (
                str(step.kib),
                step.target.device,
                f"{taken.flash:,}" if taken else "does not fit",
                f"{taken.mean:,.0f}" if taken else "-",
                *(f"{step.uniform[n].mean:,.0f}" if n in step.uniform else "-" for n in names),
            )
        )
    return Table(f"{model}: mean cycles by budget of flash", headings, tuple(rows))


def plot(model: str, steps: Sequence[Step]) -> str:
    """Mean cycles, logarithmic: `#` up to the plan taken, a letter where one encoding stands."""
    means = [cost.mean for step in steps for cost in step.uniform.values()]
    means += [step.found.cost.mean for step in steps if step.found]
    low, high = 10 ** int(log10(min(means))), max(means)

    def column(mean: float) -> int:
        return round(_WIDTH * (log10(mean) - log10(low)) / (log10(high) - log10(low)))

    lines = [f"{model}: mean cycles from {low:,} to {high:,.0f}, logarithmic"]
    for step in steps:
        row = [" "] * (_WIDTH + 1)
        if step.found:
            row[: column(step.found.cost.mean) + 1] = "#" * (column(step.found.cost.mean) + 1)
        for name, cost in step.uniform.items():
            at = column(cost.mean)
            row[at] = name[0] if row[at] == " " else row[at]
        lines.append(f"{step.kib:>4} KiB |{''.join(row).rstrip()}")
    return "\n".join(lines)
