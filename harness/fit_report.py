"""What `truecycle fit` tells: tables for people, and the same as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from harness.costs import Cost, Refused, Size
from harness.fit import Fit
from harness.record import DOES_NOT_FIT, FITS
from harness.search import Tried
from harness.table import Heading, Table
from kernels.choice import Choice
from kernels.errors import needs_of


def headline(fit: Fit) -> str:
    """The verdict, and what each memory has left or lacks."""
    verdict = FITS if fit.fits else DOES_NOT_FIT
    lines = [f"{fit.model.name} on {fit.draft.target.name}: {verdict}"]
    for budget in fit.budgets:
        room = f"{-budget.excess:,} left" if budget.excess <= 0 else f"{budget.excess:,} too many"
        lines.append(f"  {budget.memory}: {budget.needed:,} of {budget.available:,} bytes ({room})")
    if fit.found:
        cost = fit.found.cost
        lines.append(
            f"  cycles: mean {cost.mean:,.0f}, p95 {cost.p95:,.0f}, max {cost.max:,.0f} over "
            f"{len(cost.cycles)} calibration inputs; arena and measured stack {cost.sram:,} bytes"
        )
        if cost.bound < inf:
            lines.append(f"  no input within the promised bounds takes more than {cost.bound:,.0f}")
    else:
        lines.append("  these are the needs of the smallest plan")
    return "\n".join(lines) + "\n"


def tables(fit: Fit, *, candidates: bool) -> list[Table]:
    """Bytes by part; candidates, if asked for; plans that were run; other targets."""
    found = [_parts(fit)]
    if candidates:
        found.append(_candidates(fit))
    if fit.found:
        found.append(_tried(fit.found.tried))
    if fit.elsewhere:
        found.append(_elsewhere(fit))
    return found


def content(fit: Fit) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "model": fit.model.name,
        "target": fit.draft.target.name,
        "verdict": FITS if fit.fits else DOES_NOT_FIT,
        "memories": [
            {
                "memory": budget.memory,
                "needed": budget.needed,
                "available": budget.available,
                "parts": [
                    {"part": need.part, "layer": need.layer, "bytes": need.size}
                    for need in budget.needs
                ],
            }
            for budget in fit.budgets
        ],
        "plan": _plan_content(fit.draft.plan.choices),
        "cycles": _cost_content(fit.found.cost) if fit.found else None,
        "candidates": [
            {"layer": one.layer, **_choice_content(one.choice), **_cost_content(one.cost)}
            for one in fit.candidates
        ],
        "plans": [
            {
                "plan": _plan_content(tried.plan),
                "taken": tried.taken,
                **_cost_content(tried.cost),
            }
            for tried in (fit.found.tried if fit.found else ())
        ],
        "elsewhere": [
            {
                "target": one.target.name,
                "milliseconds": one.milliseconds,
                "plan": _plan_content(one.plan),
                **_cost_content(one.cost),
            }
            for one in fit.elsewhere
        ],
    }


def _parts(fit: Fit) -> Table:
    headings = (Heading("part", left=True), Heading("encoding", left=True), Heading("bytes"))
    rows = []
    for need in needs_of(fit.budgets):
        choice = fit.draft.plan.choices.get(need.layer or "")
        shown = str(choice) if choice and need.part == need.layer else ""
        rows.append((f"{need.part}", shown, f"{need.size:,}"))
    return Table("bytes by part", headings, tuple(rows))


_COSTS = (Heading("flash"), Heading("SRAM"), Heading("mean"), Heading("p95"), Heading("max"))


def _figures(cost: Size | Refused) -> tuple[str, ...]:
    """What is known of a cost; of what was not run bytes alone."""
    if isinstance(cost, Refused):
        return ("-",) * len(_COSTS)
    if not isinstance(cost, Cost):
        return (f"{cost.flash:,}", *("-",) * (len(_COSTS) - 1))
    cycles = (cost.mean, cost.p95, cost.max)
    return (f"{cost.flash:,}", f"{cost.sram:,}", *(f"{count:,.0f}" for count in cycles))


def _candidates(fit: Fit) -> Table:
    headings = (Heading("layer", left=True), Heading("encoding", left=True), *_COSTS)
    rows, sections, last = [], set(), None
    taken = fit.draft.plan.choices
    for number, one in enumerate(fit.candidates):
        if one.layer != last:
            sections.add(number)
            last = one.layer
        name = f"{one.choice}{' <' if taken.get(one.layer) == one.choice else ''}"
        rows.append((one.layer, name, *_figures(one.cost)))
    title = "candidates, each layer alone; < is in the plan"
    return Table(title, headings, tuple(rows), frozenset(sections - {0}))


def _tried(plans: tuple[Tried, ...]) -> Table:
    headings = (Heading("plan", left=True), *_COSTS)
    ordered = sorted(plans, key=lambda one: (not one.taken, one.cost.mean))
    rows = tuple(
        (f"{_short(one.plan)}{' <' if one.taken else ''}", *_figures(one.cost)) for one in ordered
    )
    return Table("plans that were run whole; < is taken", headings, rows)


def _elsewhere(fit: Fit) -> Table:
    headings = (Heading("target", left=True), Heading("ms"), Heading("plan", left=True), *_COSTS)
    rows = tuple(
        (
            one.target.name,
            f"{one.milliseconds:,.1f}",
            _short(one.plan),
            *_figures(one.cost),
        )
        for one in fit.elsewhere
    )
    return Table("where there is room: the plan by rank, or the smallest", headings, rows)


def _short(plan: Mapping[str, Choice]) -> str:
    """A plan in a few words: one encoding for all, or each layer's."""
    names = [str(choice) for choice in plan.values()]
    if len(set(names)) == 1:
        return f"all {names[0]}"
    return ", ".join(f"{layer} {name}" for layer, name in zip(plan, names, strict=True))


def _choice_content(choice: Choice) -> dict[str, Any]:
    return {"encoding": choice.encoding, "hot": list(choice.hot), "rates": list(choice.rates)}


def _plan_content(plan: Mapping[str, Choice]) -> dict[str, Any]:
    return {layer: _choice_content(choice) for layer, choice in plan.items()}


def _cost_content(cost: Size | Refused) -> dict[str, Any]:
    if isinstance(cost, Refused):
        return {"problem": cost.problem}
    if not isinstance(cost, Cost):
        return {"flash_bytes": cost.flash}
    return {
        "flash_bytes": cost.flash,
        "sram_bytes": cost.sram,
        "cycles_mean": cost.mean,
        "cycles_p95": cost.p95,
        "cycles_max": cost.max,
        "cycles_bound": cost.bound if cost.bound < inf else None,
        "n_inputs": len(cost.cycles),
    }
