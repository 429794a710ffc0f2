"""The measured choice under every budget, checked against each encoding alone."""

from __future__ import annotations

from harness.budgets import sweep, table
from harness.pytest_plugin import Cycles
from harness.text import render
from models import Model


def check_every_budget(cycles: Cycles, model: Model) -> None:
    """No encoding alone is faster than the plan taken, under any budget; note the table."""
    steps = list(sweep(model))
    cycles.note(render(table(model.name, steps), 120, color=False))
    assert steps[-1].found is not None
    for step in steps:
        for encoding, cost in step.uniform.items():
            assert step.found is not None
            assert step.found.cost.mean <= cost.mean, (step.kib, encoding)
