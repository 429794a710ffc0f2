"""truecycle compare: every recipe of a task, trained under several seeds, in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.options import DataOption
from models import tasks
from models.comparison import Figures, Run, document, plan, run_all, section
from models.comparison.figures import DRAWS


def command(
    task: Annotated[list[str], typer.Argument(help="Tasks, for example `chat-a` or `digits`.")],
    data: DataOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds per recipe, from 0.")] = 2,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that train.")] = 2,
    runs: Annotated[
        Path, typer.Option(help="Folder for the checkpoints; those that are there stay.")
    ] = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Write the tables there, as Markdown.")] = None,
) -> None:
    """Train and judge every recipe of the tasks; print the tables.

    Interrupt it at will: trainings go on where they were.
    """
    sections = []
    for name in task:
        loaded = tasks.load_task(name, data)
        figures = run_all(plan(name, seeds), runs, data=data, jobs=jobs, tell=_tell)
        sections.append(section(loaded, figures))
    if out is None:
        typer.echo("\n".join(sections))
    else:
        words = ["truecycle compare", *task, *(["--z80ai PATH"] if data else [])]
        again = " ".join([*words, f"--seeds {seeds} --out {out}"])
        out.write_text(document(sections, again, DRAWS), encoding="utf-8")
        typer.echo(f"wrote {out}")


def _tell(run: Run, found: Figures) -> None:
    typer.echo(f"{run.recipe} seed {run.seed}: {found.integer:.2%}", err=True)
