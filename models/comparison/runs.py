"""Training every recipe under every seed, in several processes; what is done already stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models import recipes, tasks
from models.comparison.figures import Figures, figures_of
from models.compress import checkpoint
from models.processes import worker_pool
from models.task import Task


@dataclass(frozen=True, order=True, slots=True)
class Run:
    """A recipe under a seed."""

    recipe: str
    seed: int

    def path(self, folder: Path) -> Path:
        """Where its checkpoint is."""
        return folder / f"{self.recipe}-{self.seed}{checkpoint.SUFFIX}"


Told = Callable[[Run, Figures], None]


def plan(task: str, seeds: int) -> list[Run]:
    """Every recipe of a task under the seeds 0, 1, ...; the recipes in their order."""
    return [
        Run(recipe.name, seed)
        for seed in range(seeds)
        for recipe in recipes.catalog()
        if recipe.task == task
    ]


def run_all(
    runs: Sequence[Run],
    folder: Path,
    *,
    data: Path | None = None,
    jobs: int = 1,
    tell: Told = lambda *_: None,
) -> dict[Run, Figures]:
    """Train what has no checkpoint in `folder` yet, and judge all.

    data: the folder for tasks that need one. jobs: processes. tell: is told of each run's end.
    A training that was interrupted goes on where it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[Run, Figures] = {}
    for run, figures in _each(runs, folder, data, jobs):
        found[run] = figures
        tell(run, figures)
    return {run: found[run] for run in runs}


def run_one(run: Run, folder: Path, data: Path | None = None) -> Figures:
    """Train unless that is done, and judge."""
    path, recipe = run.path(folder), recipes.find(run.recipe)
    task = _task(recipe.task, data)
    if not _is_done(run, path):
        from models.compress import trainer  # noqa: PLC0415 - imports torch

        trainer.train(recipe, task, run.seed, path, lambda _: None)
    return figures_of(checkpoint.load(path), task)


def _each(
    runs: Sequence[Run], folder: Path, data: Path | None, jobs: int
) -> Iterator[tuple[Run, Figures]]:
    """Runs with their figures, as they end."""
    if jobs == 1:
        for run in runs:
            yield run, run_one(run, folder, data)
        return
    with worker_pool(jobs) as pool:
        waiting = {pool.submit(run_one, run, folder, data): run for run in runs}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _is_done(run: Run, path: Path) -> bool:
    """Whether the checkpoint is of this very recipe and seed."""
    if not path.exists():
        return False
    stored = checkpoint.load(path)
    wanted = json.loads(recipes.find(run.recipe).as_json())
    return stored.seed == run.seed and stored.recipe == wanted


@cache
def _task(name: str, data: Path | None) -> Task:
    return tasks.load_task(name, data)
