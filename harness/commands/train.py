"""truecycle train: a checkpoint from nothing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from harness.options import DataOption, JsonOption
from harness.terminal import progress_bar, show
from models import train
from models.training import TrainingStep


def command(
    model: Annotated[str, typer.Argument(help="What to train, for example `digits`.")],
    data: DataOption = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same checkpoint.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The checkpoint to write. Default: the project's own.")
    ] = None,
    json: JsonOption = None,
) -> None:
    """Train a checkpoint from nothing; a recipe that was interrupted goes on where it was."""
    progress = progress_bar()
    task = progress.add_task(model)
    with ExitStack() as shown:  # from the first step on: an error before it is one line

        def step(now: TrainingStep) -> None:
            if not progress.live.is_started:
                shown.enter_context(progress)
            text = f"{model} epoch {now.epoch} loss {now.loss:.4f}"
            progress.update(task, total=now.epochs, completed=now.epoch, description=text)

        report = train(model, seed, out, step, data=data)
    lines = [f"{value:7.2%}  {what}" for what, value in report.accuracies.items()]
    content = {"path": str(report.path), "seed": seed, "accuracies": dict(report.accuracies)}
    show("\n".join([*lines, f"wrote {report.path}"]), json, content)
