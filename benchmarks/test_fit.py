"""The measured choice against uniform ones, over a sweep of flash budgets."""

from __future__ import annotations

import pytest
from budgets import plot, sweep, table

from harness.cache import Cache
from harness.pytest_plugin import Cycles, LoadModel, one_line
from harness.text import render


@pytest.mark.parametrize("model", ["digits-int8", "chat-a-ternary"])
def test_no_single_encoding_is_faster(cycles: Cycles, load_model: LoadModel, model: str) -> None:
    """Under every budget, on the calibration inputs."""
    steps = list(sweep(one_line(lambda: load_model(model)), Cache()))
    cycles.note(render(table(model, steps), 120, color=False) + "\n" + plot(model, steps))
    assert steps[-1].found is not None
    for step in steps:
        for encoding, cost in step.uniform.items():
            assert step.found is not None
            assert step.found.cost.mean <= cost.mean, (step.kib, encoding)
