"""truecycle fit: verdicts, reports, and what is proposed where nothing fits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cli_runs import Cli
from tiny_model import tiny_model

from harness import costs
from harness.cache import Cache
from harness.costs import Cost, Size
from harness.fit import fit
from harness.fit_report import content, headline, tables
from harness.limits import limits_of
from harness.run import Runner
from kernels.avr import targets as avr
from kernels.compile import compile_graph
from kernels.image import Program
from kernels.target import Region, find_target

UNO = find_target("uno")


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_a_model_that_fits(store: Cache) -> None:
    model = tiny_model()
    found = fit(model, UNO, limits_of(UNO), cache=store)
    assert found.found is not None
    program = compile_graph(model.graph, UNO, found.found.plan)
    (flash, sram) = found.budgets
    assert (flash.needed, flash.available) == (program.flash, 32256)
    assert sram.needed == program.arena.size + 16
    text = headline(found)
    assert text.startswith("tiny on uno: fits\n")
    assert f"flash: {program.flash:,} of 32,256 bytes ({32256 - program.flash:,} left)" in text
    assert [table.title for table in tables(found, candidates=False)] == [
        "bytes by part",
        "plans that were run whole; < is taken",
    ]
    (parts, *_) = tables(found, candidates=True)
    sizes = {row[0]: int(row[2].replace(",", "")) for row in parts.rows}
    assert sum(sizes.values()) == program.flash + program.arena.size + 16
    document = json.loads(json.dumps(content(found)))
    assert document["verdict"] == "fits"
    assert sum(part["bytes"] for part in document["memories"][0]["parts"]) == program.flash
    taken = [plan for plan in document["plans"] if plan["taken"]]
    assert [plan["plan"] for plan in taken] == [document["plan"]]
    assert {one["layer"] for one in document["candidates"]} == {"fc"}


def test_where_nothing_fits_the_lack_and_other_targets_are_told(store: Cache) -> None:
    found = fit(tiny_model(), UNO, limits_of(UNO, 50), cache=store)
    assert not found.fits
    assert "does not fit" in headline(found)
    assert "too many)" in headline(found)
    names = [one.target.name for one in found.elsewhere]
    assert {"uno", "mega", "cpm", "attiny85"} <= set(names)  # of the uno's flash 50 bytes were left
    times = [one.milliseconds for one in found.elsewhere]
    assert times == sorted(times)
    document = content(found)
    assert (document["verdict"], document["cycles"]) == ("does not fit", None)
    assert [one["target"] for one in document["elsewhere"]] == names


def test_where_nothing_fits_cycles_are_measured_once_for_each_target_that_would_do(
    store: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[str] = []

    def runner(program: Program, *, limit: int) -> Runner:
        run.append(program.target.name)
        return Runner(program, limit=limit)

    monkeypatch.setattr(costs, "Runner", runner)
    monkeypatch.setitem(avr.__dict__, "TINY", replace(UNO, name="too small", code=Region(0, 60)))
    said: list[tuple[str, int, int]] = []
    found = fit(
        tiny_model(), UNO, limits_of(UNO, 50), cache=store, progress=lambda *at: said.append(at)
    )
    monkeypatch.undo()
    assert sorted(run) == sorted(one.target.name for one in found.elsewhere)
    assert "too small" not in run
    sizes = [one.cost for one in found.candidates]
    assert all(isinstance(size, Size) and not isinstance(size, Cost) for size in sizes)
    assert {what for what, _, _ in said} == {"sizes", "other targets"}
    assert all(done < total for _, done, total in said)


def test_a_search_tells_how_far_it_is(store: Cache) -> None:
    said: list[tuple[str, int, int]] = []
    fit(tiny_model(), UNO, limits_of(UNO), cache=store, progress=lambda *at: said.append(at))
    assert list(dict.fromkeys(what for what, _, _ in said)) == ["candidates", "whole plans"]
    done = [(at, total) for what, at, total in said if what == "candidates"]
    assert done == [(at, len(done)) for at in range(len(done))]


def test_the_command(cli: Cli, tmp_path: Path) -> None:
    fits = ("fit", "tiny", "--target", "uno")
    assert "candidates, each layer alone" in cli(*fits, "--candidates").out
    file = tmp_path / "fit.json"
    done = cli(*fits, "--flash", "100", "--json", str(file))
    assert done.code == 1
    assert "where there is room" in done.out
    assert json.loads(file.read_text())["verdict"] == "does not fit"
    done = cli(*fits, "--encoding", "fc=dense8", "--objective", "flash", "--json", "-")
    assert json.loads(done.out)["plan"]["fc"]["encoding"] == "dense8"


@pytest.mark.parametrize("objective", ["mean", "p95", "max", "bound", "flash"])
def test_every_objective(cli: Cli, objective: str) -> None:
    done = cli("fit", "tiny", "--target", "uno", "--objective", objective, "--json", "-")
    document = json.loads(done.out)
    key = {"flash": "flash_bytes"}.get(objective, f"cycles_{objective}")
    (taken,) = [plan for plan in document["plans"] if plan["taken"]]
    assert taken[key] == min(plan[key] for plan in document["plans"])
    assert (taken["cycles_bound"] is not None) == (objective == "bound")
    text = cli("fit", "tiny", "--target", "uno", "--objective", objective).out
    proven = "no input within the promised bounds takes more than"
    assert (proven in text) == (objective == "bound")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--flash", "99999"), "uno has 32,256 bytes of flash, not 99,999"),
        (("--encoding", "nothing=dense8"), "tiny has no layer 'nothing' with weights"),
    ],
)
def test_mistakes_are_one_line(cli: Cli, options: tuple[str, ...], problem: str) -> None:
    done = cli("fit", "tiny", "--target", "uno", *options)
    assert (done.code, done.err) == (1, f"truecycle: {problem}\n")


@pytest.mark.parametrize("plan", ["auto", "fastest", "smallest", "rank"])
def test_every_command_takes_a_plan(cli: Cli, plan: str) -> None:
    options = ("tiny", "--target", "uno", "--plan", plan)
    assert [cli(name, *options).code for name in ("bench", "profile", "compile")] == [0, 0, 0]


def test_the_worst_case_is_shown(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "fit.json"
    dense = ("--encoding", "fc=dense8", "--worst")
    done = cli("fit", "tiny", "--target", "uno", *dense, "20", "--json", str(file))
    assert done.code == 0
    assert "all, searched" in done.out
    worst = json.loads(file.read_text())["worst_case"]
    assert worst["cycles_max"] <= worst["cycles_found"] <= worst["bound"]
    assert [one["layer"] for one in worst["layers"]] == ["fc", "best"]
    assert all(one["cycles_max"] <= one["bound"] for one in worst["layers"])
    assert "unknown: " not in cli("fit", "tiny", "--target", "cpm", *dense, "1").out
