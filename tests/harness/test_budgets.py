"""truecycle budgets: the plan taken under each budget, beside every encoding alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import Cli
from tiny_model import tiny_model

from harness import budgets
from harness.budgets import draw, sweep, table
from harness.cache import Cache
from kernels.compile import draft_graph
from kernels.target import find_target

UNO = find_target("uno")


@pytest.fixture(autouse=True)
def _small_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bytes: too few, enough for the smallest plan, and more."""
    graph = tiny_model().graph
    sizes = sorted(
        draft_graph(graph, UNO, {"fc": name}).flash for name in ("dense8", "packed2", "trits")
    )
    monkeypatch.setattr(budgets, "KIB", 1)
    monkeypatch.setattr(budgets, "BUDGETS", {100: "uno", sizes[0]: "uno", 9000: "mega"})


def test_the_plan_taken_is_no_slower_than_any_encoding_alone(tmp_path: Path) -> None:
    model = tiny_model()
    steps = list(sweep(model, Cache(tmp_path / "cache"), largest=9000))
    assert [step.found is None for step in steps] == [True, False, False]
    for step in steps[1:]:
        assert step.found is not None
        assert step.found.cost.flash <= step.kib
        assert step.uniform
        best = min(cost.mean for cost in step.uniform.values())
        assert step.found.cost.mean <= best
        assert all(cost.flash <= step.kib for cost in step.uniform.values())
    assert set(steps[1].uniform) < set(steps[2].uniform)
    rows = table("tiny", steps).rows
    assert [row[2] == "does not fit" for row in rows] == [True, False, False]
    drawn = draw("tiny", steps)
    assert drawn.startswith("<svg")
    for name in (*steps[2].uniform, "plan taken", "none fits"):
        assert f">{name}</text>" in drawn


def test_the_command(cli: Cli, tmp_path: Path) -> None:
    done = cli("budgets", "tiny", "--svg", "b.svg", "--json", "b.json")
    assert done.code == 0
    assert "tiny: mean cycles by budget of flash" in done.out
    assert "<svg" in (tmp_path / "b.svg").read_text()
    first, *others = json.loads((tmp_path / "b.json").read_text())["budgets"]
    assert (first["plan"], first["alone"]) == (None, {})
    assert all(one["plan"].keys() == {"fc"} for one in others)


def test_nothing_to_draw_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "BUDGETS", {100: "uno"})
    done = cli("budgets", "tiny", "--svg", "b.svg")
    assert (done.code, done.err) == (
        1,
        "truecycle: tiny fits none of the budgets: there is nothing to draw\n",
    )
    assert cli("budgets", "tiny").code == 0
