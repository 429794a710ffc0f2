"""The measured choice against uniform ones, over a sweep of flash budgets: see `--all-budgets`."""

from __future__ import annotations

import pytest
from budgets import check_budgets

from harness.pytest_plugin import Cycles, LoadModel, one_line


@pytest.mark.parametrize("model", ["digits-int8", "chat-a-ternary"])
def test_no_single_encoding_is_faster(
    cycles: Cycles, load_model: LoadModel, model: str, largest_budget: int
) -> None:
    """Under every budget, on the calibration inputs."""
    check_budgets(cycles, one_line(lambda: load_model(model)), largest_budget)
