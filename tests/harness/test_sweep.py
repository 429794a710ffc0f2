"""Sweeps: every configuration once, wherever it runs, whatever is interrupted or killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Cli
from distributed import LocalCluster

from harness.errors import HarnessError
from harness.executor import Dask, Here, J, Processes, R
from harness.measure import measure
from harness.plans import PlanPolicy
from harness.record import DOES_NOT_FIT, FITS
from harness.sweep import Configuration, configurations, merged, read_journal, sweep
from models import load, predict

SMALL = configurations(["digits-int8"], ["uno", "cpm"], examples=25, shard=10)


def lines(path: Path) -> list[str]:
    return sorted(path.read_text().splitlines())


def test_configurations_are_the_product() -> None:
    found = configurations(
        ["digits-int8", "chat-a-ternary"],
        ["uno", "mega"],
        encodings={"fc1": ["dense8", "index-lists"], "fc9": ["dense8"]},
        budgets=[None, 20_000],
        examples=25,
        shard=10,
    )
    assert len(found) == len({one.key for one in found}) == 2 * 2 * 2 * 2 * 3
    assert {one.encodings for one in found} == {(("fc1", "dense8"),), (("fc1", "index-lists"),)}
    assert [(one.start, one.count) for one in found[:3]] == [(0, 10), (10, 10), (20, 5)]


def test_outcomes_are_those_of_measurements(tmp_path: Path) -> None:
    (uno, cpm) = merged(sweep(SMALL, Here(), tmp_path / "j"))
    for found in (uno, cpm):
        model = load("digits-int8")
        expected = measure(model.shortened(25), found.configuration.target)
        total = expected.total
        assert (found.verdict, found.examples, found.equal) == ("fits", 25, 25)
        assert (found.cycles_sum, found.cycles_min, found.cycles_max) == (
            total.cycles_sum,
            total.cycles_min,
            total.cycles_max,
        )
        assert (found.flash_bytes, found.sram_bytes) == (total.flash_bytes, total.sram_bytes)
        assert found.layer_cycles == {r.layer: r.cycles_sum for r in expected.records[1:-1]}
        right = predict(model.graph, model.evaluation.inputs[:25]) == model.evaluation.labels[:25]
        assert found.right == right.sum()


def test_what_cannot_be_compiled_is_an_outcome(tmp_path: Path) -> None:
    wanted = [
        Configuration("digits-int8", "uno", (), 3000, 0, 5),
        Configuration("digits-int8", "uno", (("fc1", "index-lists"),), None, 0, 5),
    ]
    unfit, refused = sweep(wanted, Here(), tmp_path / "j")
    assert (unfit.verdict, unfit.cycles_sum) == ("does not fit", None)
    assert unfit.flash_bytes is not None
    assert unfit.flash_bytes > 3000
    assert refused.verdict == "refused"
    assert "index-lists cannot hold weights" in str(refused.reason)
    assert read_journal(tmp_path / "j") == [unfit, refused]


def test_a_budget_gets_the_plan_that_fits_it(tmp_path: Path) -> None:
    """By rank the program has 25 KB; within 20 KB another plan is slower, and smaller still."""
    budgets = (None, 20_000, 16_500)
    plans = {
        policy: sweep(
            configurations(["chat-a-ternary"], ["uno"], budgets=budgets, examples=5, plan=policy),
            Here(),
            tmp_path / policy,
        )
        for policy in (PlanPolicy.AUTO, PlanPolicy.RANK)
    }
    assert [one.verdict for one in plans[PlanPolicy.RANK]] == [FITS, DOES_NOT_FIT, DOES_NOT_FIT]
    fitting = plans[PlanPolicy.AUTO]
    assert [(one.verdict, one.equal) for one in fitting] == [(FITS, 5)] * 3
    for outcome, budget in zip(fitting[1:], budgets[1:], strict=True):
        assert budget is not None
        assert (outcome.flash_bytes or 0) <= budget
    assert len({str(one.held) for one in fitting}) == 3
    assert read_journal(tmp_path / PlanPolicy.AUTO) == fitting


class Interrupted(Here):
    """Stops after some results, as Ctrl-C does."""

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[tuple[int, R]]:
        """Three results, and no more."""
        for number, result in super().map(function, jobs):
            if number == 3:
                raise KeyboardInterrupt
            yield number, result


def test_an_interrupted_sweep_goes_on(tmp_path: Path) -> None:
    journal, whole = tmp_path / "j", tmp_path / "whole"
    expected = sweep(SMALL, Here(), whole)
    with pytest.raises(KeyboardInterrupt):
        sweep(SMALL, Interrupted(), journal)
    assert len(lines(journal)) == 3
    with journal.open("a", encoding="utf-8") as stream:
        stream.write('{"configuration": {"mod')  # as if it had been killed while writing
    told: list[int] = []
    assert sweep(SMALL, Here(), journal, told.append) == expected
    assert told == [4, 5, 6]
    assert lines(journal) == lines(whole)
    assert sweep(SMALL, Interrupted(), journal) == expected  # there is nothing left to run


@pytest.mark.parametrize("text", ["{}\n", "[]\n", "no\n", '{"configuration": 3}\n'])
def test_another_file_is_no_journal(tmp_path: Path, text: str) -> None:
    (tmp_path / "j").write_text(text)
    with pytest.raises(HarnessError, match="is no journal of a sweep"):
        sweep(SMALL, Here(), tmp_path / "j")
    assert (tmp_path / "j").read_text() == text


def test_processes_give_the_same(tmp_path: Path) -> None:
    assert sweep(SMALL, Processes(2), tmp_path / "j") == sweep(SMALL, Here(), tmp_path / "k")
    assert lines(tmp_path / "j") == lines(tmp_path / "k")


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two local workers of Dask."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
        yield made


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_two_hundred_configurations_on_dask_with_a_worker_killed(
    cluster: Any, tmp_path: Path
) -> None:
    wanted = configurations(["digits-int8"], ["uno", "mega"], examples=300, shard=3)
    assert len(wanted) == 200
    victims = [worker.process.process.pid for worker in cluster.workers.values()]

    def kill(done: int) -> None:
        if done == 60:
            os.kill(victims[0], signal.SIGKILL)

    address = cluster.scheduler_address
    spread = sweep(wanted, Dask(address), tmp_path / "dask", kill)
    local = sweep(wanted, Here(), tmp_path / "local")
    assert spread == local
    assert lines(tmp_path / "dask") == lines(tmp_path / "local")
    assert {one.verdict for one in local} == {"fits"}


def test_the_command(cli: Cli) -> None:
    arguments = ("sweep", "tiny", "--target", "uno", "--journal", "j", "--workers", "1")
    options = ("--encoding", "fc=dense8,index-lists", "--budget", "32256", "--budget", "100")
    done = cli(*arguments, *options)
    assert (done.code, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines() if line.startswith("  tiny")]
    assert [(row[2], row[3], row[-1]) for row in rows] == [
        ("fc=dense8", "32,256", "fits"),
        ("fc=dense8", "100", "fit"),
        ("fc=index-lists", "32,256", "fits"),
        ("fc=index-lists", "100", "fit"),
    ]
    assert len(lines(Path("j"))) == 4
    assert cli(*arguments, *options).out == done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny", "--journal", "absent/j"], "absent/j cannot be written: give a file in an"),
        (["tiny", "--journal", "j", "--target", "pdp11"], "unknown target 'pdp11'"),
        (["none", "--journal", "j"], "no model is named 'none'"),
        (["tiny", "--journal", "j", "--encoding", "fc="], "'fc=' is not LAYER=NAME,..."),
        (
            ["tiny", "--journal", "j", "--scheduler", "tcp://127.0.0.1:9"],
            "no Dask scheduler at tcp://127.0.0.1:9: ",
        ),
    ],
)
def test_the_command_refuses(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(
        "harness.commands.sweep.executor_for",
        lambda _, scheduler: Dask(scheduler, timeout=0.2) if scheduler else Here(),
    )
    done = cli("sweep", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"truecycle: {message}")


def test_a_configuration_is_the_same_wherever_its_data_lies() -> None:
    one = SMALL[0]
    assert replace(one, data="elsewhere").key == one.key
    assert replace(one, budget=1).key != one.key
