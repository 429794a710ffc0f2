"""History from git: every commit that changed a baseline, and nothing else."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cli_runs import Cli
from known_records import FITTING, TOO_LARGE

from harness.errors import HarnessError
from harness.history import changed_only, history
from harness.result import Result
from harness.storage import SavedRun


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


def commit(subject: str, *means: float) -> None:
    """Save a result per mean, of the targets uno and mega, and commit it."""
    results = [
        Result(f"test_{target}", "", (replace(FITTING, target=target, cycles_mean=mean),))
        for target, mean in zip(("uno", "mega"), means, strict=False)
    ]
    SavedRun(Path("kept")).save(results)
    Path("other").write_text(subject)
    git("add", "-A")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", subject)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Cli:
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    commit("one", 100.5, 200.0)
    commit("unrelated", 100.5, 200.0)
    commit("two", 90.25, 200.0)
    return cli


@pytest.mark.usefixtures("repository")
def test_points_are_those_of_commits() -> None:
    points = history(Path("kept"), "net")
    assert [(p.subject, p.target, p.cycles_mean) for p in points] == [
        ("one", "mega", 200.0),
        ("one", "uno", 100.5),
        ("two", "mega", 200.0),
        ("two", "uno", 90.25),
    ]
    kept = changed_only(points)
    assert [(p.subject, p.target) for p in kept] == [
        ("one", "mega"),
        ("one", "uno"),
        ("two", "uno"),
    ]
    assert [p.target for p in history(Path("kept"), "net", "mega")] == ["mega", "mega"]
    assert history(Path("kept"), "other") == []


@pytest.mark.usefixtures("repository")
def test_files_of_other_kinds_are_left_out() -> None:
    Path("kept/old.json").write_text('{"schema": 1}')
    Path("kept/notes.txt").write_text("no result")
    commit("three", 80.0, 200.0)
    points = history(Path("kept"), "net", "uno")
    assert [p.cycles_mean for p in points] == [100.5, 90.25, 80.0]
    git("rm", "-rq", "kept")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "gone")
    Path("kept").mkdir(exist_ok=True)
    assert len(history(Path("kept"), "net", "uno")) == 3


def test_the_command(repository: Cli) -> None:
    done = repository("history", "net", "--folder", "kept", "--svg", "h.svg", "--json", "h.json")
    assert (done.code, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines() if "#" in line]
    assert [(row[0], row[3], row[-1]) for row in rows] == [
        ("mega", "200.0", "one"),
        ("uno", "100.5", "one"),
        ("uno", "90.2", "two"),
    ]
    assert len(rows[0][5]) == 30
    assert len(json.loads(Path("h.json").read_text())["points"]) == 3
    assert "<svg" in Path("h.svg").read_text()


def test_a_program_that_does_not_fit_has_no_bar(repository: Cli) -> None:
    SavedRun(Path("kept")).save([Result("test_big", "", (TOO_LARGE,))])
    git("add", "-A")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "big")
    done = repository("history", "big", "--folder", "kept")
    assert done.code == 0
    assert "40,000" in done.out
    assert "#" not in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net", "--folder", "absent"], "absent is no folder: give one that holds saved results"),
        (["other", "--folder", "kept"], "no commit keeps results of other in kept"),
    ],
)
def test_the_command_refuses(repository: Cli, arguments: list[str], message: str) -> None:
    done = repository("history", *arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err


def test_outside_git_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(HarnessError, match="not a git repository"):
        history(tmp_path, "net")
