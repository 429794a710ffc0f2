"""tinychat: the measured choice against uniform ones, over a sweep of flash budgets."""

from __future__ import annotations

from budgets import check_budgets

from harness.pytest_plugin import Cycles, LoadModel


def test_no_single_encoding_is_faster(
    cycles: Cycles, load_model: LoadModel, largest_budget: int
) -> None:
    """Under every budget, on the calibration inputs."""
    check_budgets(cycles, load_model("tinychat"), largest_budget)
