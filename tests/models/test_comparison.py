"""All recipes of a task beside each other: what is trained, what is told, what the tables say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic_chat import CHARSET

from harness.cli import main
from models import comparison, recipes, tasks
from models.chat.encoder import query_and_word_counts
from models.chat.pairs import Pair
from models.chat.protocols import ChatTask, Protocol, chat_task
from models.comparison import Figures, Run, plan, run_all, section
from models.comparison.figures import figures_of, groups_of, packed_bytes, sigma
from models.compress import PostTraining, QuantizeAware, Schedule, Train, checkpoint, trainer
from models.compress.recipe import Recipe
from models.export import IntegerLayer
from models.task import Examples, Task
from models.zoo.recipes import SHIPPED

SHORT = Schedule(epochs=4, batch=64, learning_rate=0.01)
RECIPES = (
    Recipe("made-up-int8", "made-up: int8", "made-up", (9,), (Train(SHORT), PostTraining(8)), 16.0),
    Recipe(
        "made-up-ternary", "made-up: ternary", "made-up", (9,), (QuantizeAware(schedule=SHORT),)
    ),
    Recipe("other-int8", "other: int8", "other", (9,), (Train(SHORT),)),
)
PAIRS = tuple(Pair(f"QUERY {n // 2}", "YEA" if n % 2 else "NO") for n in range(200))


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> ChatTask:
    made = chat_task("made-up", PAIRS, CHARSET, Protocol.A, query_and_word_counts)
    monkeypatch.setattr(recipes, "catalog", lambda: RECIPES)
    monkeypatch.setattr(tasks, "load_task", lambda *_: made)
    comparison.runs._task.cache_clear()
    return made


def test_the_plan_has_every_recipe_of_the_task(task: ChatTask) -> None:
    names = ("made-up-int8", "made-up-ternary")
    assert plan(task.name, 2) == [Run(name, seed) for seed in (0, 1) for name in names]


def test_what_is_trained_stays(
    task: ChatTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Run] = []
    folder = tmp_path / "runs"
    first = run_all(plan(task.name, 2), folder, tell=lambda run, _: told.append(run))
    assert told == list(first) == plan(task.name, 2)
    assert len(list(folder.iterdir())) == 4
    (folder / "made-up-int8-1.npz").write_bytes((folder / "made-up-ternary-1.npz").read_bytes())
    (folder / "made-up-ternary-1.npz").write_bytes((folder / "made-up-ternary-0.npz").read_bytes())
    trained = []

    def note(recipe: Recipe, _: Task, seed: int, *__: object) -> None:
        trained.append((recipe.name, seed))

    monkeypatch.setattr(trainer, "train", note)
    again = run_all(plan(task.name, 2), folder)
    assert trained == [("made-up-int8", 1), ("made-up-ternary", 1)]
    wanted = first[Run("made-up-int8", 0)]
    found = again[Run("made-up-int8", 0)]
    assert np.array_equal(found.right, wanted.right)
    assert found.perplexity == wanted.perplexity


def test_processes_share_the_runs(tmp_path: Path) -> None:
    runs = [Run("digits-float", 0), Run("chat-a-binary", 0)]
    for run in runs:
        shutil.copy(SHIPPED / f"{run.recipe}.npz", run.path(tmp_path))
    found = run_all(runs, tmp_path, jobs=2)
    assert list(found) == runs
    for run in runs:
        stored = checkpoint.load(run.path(tmp_path))
        assert found[run].integer == stored.accuracies["integer graph, the same examples"]
        assert found[run].export_loss <= 0.001


def test_figures_are_those_of_the_free_running_network(task: ChatTask, tmp_path: Path) -> None:
    from models.evaluation import graph_candidate  # noqa: PLC0415
    from models.evaluation.score import score_candidate  # noqa: PLC0415

    run_all(plan(task.name, 1), tmp_path)
    stored = checkpoint.load(Run("made-up-int8", 0).path(tmp_path))
    found = figures_of(stored, task)
    scores = score_candidate(graph_candidate("integer", stored.graph), task)
    assert (found.integer, found.perplexity) == (scores.accuracy, scores.perplexity)
    assert found.exact == scores.exact


def layer(levels: list[int], bias: int = 0, rows: int = 1) -> IntegerLayer:
    grid = np.resize(np.array(levels, np.int8), (8, 30))
    biases = np.full(8, bias, np.int32)
    return IntegerLayer(grid, biases, np.full(rows, 3, np.int64), 4, 1.0, "uint8", 0, 255)


@pytest.mark.parametrize(
    ("made", "size"),
    [
        (layer([-1, 1]), 240 / 8 + 16),
        (layer([-1, 0, 1]), 240 / 5 + 16),
        (layer([-2, 0, 1]), 240 / 4 + 16),
        (layer([-7, 0, 7]), 240 / 2 + 16),
        (layer([-9, 0, 7]), 240 + 16),
        (layer([-1, 1], bias=40_000), 240 / 8 + 32),
        (layer([-1, 1], bias=-32_768, rows=8), 240 / 8 + 16 + 8),
    ],
)
def test_bytes_are_counted_plainly(made: IntegerLayer, size: int) -> None:
    assert packed_bytes(made) == size


def test_sigma_is_the_standard_error_of_independent_examples() -> None:
    right = np.random.default_rng(5).random(4000) < 0.8
    share = right.mean()
    wanted = (share * (1 - share) / len(right)) ** 0.5
    assert sigma([right], np.arange(4000)) == pytest.approx(wanted, rel=0.1)
    assert sigma([right, right], np.arange(4000)) == pytest.approx(wanted, rel=0.1)
    tenfold = np.repeat(right, 10)
    assert sigma([tenfold], np.repeat(np.arange(4000), 10)) == pytest.approx(wanted, rel=0.1)


def test_groups_are_queries_of_chat_and_else_examples(task: ChatTask) -> None:
    groups = groups_of(task)
    queries = [task.validation_pairs[owner].query for owner in task.validation_owners]
    assert len(set(groups.tolist())) == len(set(queries)) == 15
    assert len(set(zip(groups.tolist(), queries, strict=True))) == 15
    examples = Examples(np.zeros((5, 2), np.uint8), np.zeros(5, np.int64))
    assert groups_of(Task("t", "p", 2, examples, examples)).tolist() == [0, 1, 2, 3, 4]


def figures(right: list[bool], fake: float) -> Figures:
    return Figures("made by hand", (4, 3, 2), 1234, 0.8, fake, np.array(right), 1.5, 0.25)


def test_the_table(task: ChatTask) -> None:
    length = len(task.validation.labels)
    better, worse = [True] * length, [False] * length
    found = {
        Run("worse", 0): figures(worse, 0.0),
        Run("worse", 1): figures(worse, 0.0015),
        Run("better", 0): figures(better, 1.0),
        Run("better", 1): figures(better, 1.0),
    }
    lines = section(task, found).splitlines()
    assert lines[0] == "## made-up"
    assert lines[2] == f"{task.protocol}; {length} validation examples, 2 seeds."
    assert lines[6:8] == [
        "| made by hand | 4-3-2 | 1,234 | 80.0 | 100.0 | 100.0 | 0.0 | 100.0 100.0 | 0.00 "
        "| 1.50 | 25.0 |",
        "| made by hand | 4-3-2 | 1,234 | 80.0 | 0.1 | 0.0 | 0.0 | 0.0 0.0 | 0.15 | 1.50 | 25.0 |",
    ]
    assert [line.split("|")[1].strip() for line in lines[8:]] == [
        "*reply table, ignores the query*",
        "*nearest queries, tf-idf*",
        "*logistic regression*",
    ]


def test_listing_imports_no_torch() -> None:
    program = "import sys; from models import comparison; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.usefixtures("task")
def test_the_command(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("--seeds", "1", "--jobs", "1")
    for out in ((), ("--out", "table.md")):
        with pytest.raises(SystemExit) as ended:
            main(["compare", "made-up", *options, *out])
        assert ended.value.code == 0
    printed = capsys.readouterr()
    assert "made-up-ternary seed 0: " in printed.err
    table = printed.out[printed.out.index("## made-up") : printed.out.index("wrote table.md")]
    written = (tmp_path / "table.md").read_text()
    assert table.strip() in written
    assert "    truecycle compare made-up --seeds 1 --out table.md\n" in written
