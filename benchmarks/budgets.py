"""A sweep of flash budgets: the plan of least cycles beside every plan of a single encoding."""

from __future__ import annotations

from harness.budgets import sweep, table
from harness.pytest_plugin import Cycles
from harness.text import render
from models import Model

SMALL = 28
"""Kibibytes up to which one device serves, so that layers are measured once."""


def check_budgets(cycles: Cycles, model: Model, largest: int) -> None:
    """No encoding alone is faster than the plan taken, under any budget; note the table.

    largest: kibibytes.
    """
    steps = list(sweep(model, largest=largest))
    cycles.note(render(table(model.name, steps), 120, color=False))
    assert steps[-1].found is not None
    for step in steps:
        for encoding, cost in step.uniform.items():
            assert step.found is not None
            assert step.found.cost.mean <= cost.mean, (step.kib, encoding)
