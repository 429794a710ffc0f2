"""tinychat: the measured choice against uniform ones, over a sweep of flash budgets."""

from __future__ import annotations

from budgets import check_every_budget

from harness.pytest_plugin import Cycles, LoadModel


def test_no_single_encoding_is_faster(cycles: Cycles, load_model: LoadModel) -> None:
    """Under every budget, on the calibration inputs."""
    check_every_budget(cycles, load_model("tinychat"))
