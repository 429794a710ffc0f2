"""Analytic estimates, and how far off they are."""

from __future__ import annotations

from dataclasses import replace

from known_records import FITTING, REMAINDER, TOO_LARGE

from harness.columns import LAYER_COLUMNS, PROGRAM_COLUMNS, View
from harness.estimate import cycles_error, estimated_cycles, estimated_flash, flash_error


def test_estimates_of_known_records() -> None:
    measured = replace(FITTING, macs=1000, cycles_mean=4000.0, flash_bytes=500)
    assert (estimated_cycles(measured), cycles_error(measured)) == (8000, 1.0)
    assert (estimated_flash(measured), flash_error(measured)) == (250, -0.5)
    assert estimated_cycles(replace(measured, target="cpm")) == 90_000


def test_what_is_not_known_has_no_error() -> None:
    assert cycles_error(TOO_LARGE) is None
    assert estimated_cycles(replace(FITTING, target="elsewhere")) is None
    assert cycles_error(replace(FITTING, target="elsewhere")) is None
    assert cycles_error(REMAINDER) == -1.0


def test_the_columns_are_optional() -> None:
    names = {"estimate", "estimate-error", "flash-estimate", "flash-error"}
    assert not names & {column.name for column in (*PROGRAM_COLUMNS, *LAYER_COLUMNS)}
    assert names == {c.name for c in View(("estimates",)).layer_columns[3:]}
    cells = {c.name: c.show(FITTING) for c in View(("estimates",)).program_columns}
    assert cells["estimate"] == "800,000"
    assert cells["estimate-error"] == "-35%"
