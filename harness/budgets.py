"""A sweep of flash budgets: the plan of least cycles beside every plan of a single encoding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cache import Cache
from harness.combine import Plan
from harness.costs import Cost, Workload, program_cost
from harness.limits import Limits, limits_of
from harness.problem import CALIBRATION, spread
from harness.progress import Progress, silent
from harness.report.plots import figure
from harness.search import NoPlanFits, Search, search
from harness.table import Heading, Table
from kernels.choice import Choice
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

_SIZE = (7.2, 4.2)
_MARKS = "osD^v<>PX*"


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One budget: what the search found, and the plans of one encoding that fit, by encoding."""

    kib: int
    target: Target
    found: Search | None
    uniform: Mapping[str, Cost]


def sweep(
    model: Model,
    cache: Cache | None = None,
    progress: Progress = silent,
    largest: int = max(BUDGETS),
) -> Iterator[Step]:
    """Every budget up to `largest` kibibytes, with the model's calibration inputs."""
    cache = cache or Cache()
    for kib, name in BUDGETS.items():
        if kib > largest:
            break

        def told(what: str, done: int, total: int, kib: int = kib) -> None:
            progress(f"{kib} KiB, {what}", done, total)

        target = find_target(name)
        limits = limits_of(target, min(kib * KIB, target.code.size))
        try:
            found = search(
                model.graph, target, model.calibration, limits, cache=cache, progress=told
            )
        except NoPlanFits:
            yield Step(kib, target, None, {})
            continue
        yield Step(kib, target, found, _uniform(model, target, limits, found, cache))


def _uniform(
    model: Model, target: Target, limits: Limits, found: Search, cache: Cache
) -> dict[str, Cost]:
    """Costs of the plans of one encoding that fit."""
    work = Workload(model.graph, spread(model.calibration, CALIBRATION))
    names = sorted({one.choice.encoding for one in found.candidates})
    costs = {name: program_cost(work, _of_one(name, found), target, cache) for name in names}
    return {
        name: cost
        for name, cost in costs.items()
        if isinstance(cost, Cost) and limits.excess(cost.needed) <= 0
    }


def _of_one(encoding: str, found: Search) -> Plan:
    """A plan that gives an encoding to every layer that it serves, without hot columns.

    Layers that it does not serve keep what the search gave them.
    """
    plain = Choice(encoding)
    served = {one.layer: plain for one in found.candidates if one.choice == plain}
    return found.plan | served


def table(model: str, steps: Sequence[Step]) -> Table:
    """Budgets as rows; mean cycles of the plan taken and of each encoding alone."""
    names = _names(steps)
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


def draw(model: str, steps: Sequence[Step]) -> str:
    """An SVG: mean cycles by budget, the plan taken as a line, each encoding alone as marks."""
    from matplotlib.ticker import LogLocator  # noqa: PLC0415 - a second, which only figures pay

    def on(_: Any, axes: Any) -> None:
        for name, mark in zip(_names(steps), _MARKS * len(steps), strict=False):
            points = [(step.kib, step.uniform[name].mean) for step in steps if name in step.uniform]
            axes.plot(*zip(*points, strict=True), mark, label=name, alpha=0.8, markersize=6)
        taken = [(step.kib, step.found.cost.mean) for step in steps if step.found]
        axes.plot(*zip(*taken, strict=True), color="#c25b56", linewidth=2, label="plan taken")
        if none := [step.kib for step in steps if not step.found]:
            low, place = [0.03] * len(none), axes.get_xaxis_transform()
            axes.plot(none, low, "x", color="#777777", transform=place, label="none fits")
        axes.set(xscale="log", yscale="log", xlabel="flash, KiB", ylabel="mean cycles", title=model)
        names = [str(step.kib) for step in steps]
        axes.set_xticks([step.kib for step in steps], names, fontsize=9)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.minorticks_off()
        axes.figure.legend(loc="outside right center", frameon=False, fontsize=10)

    return figure(on, _SIZE).replace("<svg", '<svg style="color: #777"', 1)


def content(steps: Sequence[Step]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "budgets": [
            {
                "kib": step.kib,
                "target": step.target.name,
                "flash_bytes": step.found.cost.flash if step.found else None,
                "cycles_mean": step.found.cost.mean if step.found else None,
                "plan": {k: str(v) for k, v in step.found.plan.items()} if step.found else None,
                "alone": {name: cost.mean for name, cost in step.uniform.items()},
            }
            for step in steps
        ]
    }


def _names(steps: Sequence[Step]) -> list[str]:
    return sorted({name for step in steps for name in step.uniform})
