"""truecycle verify: the emulator beside the reference, on a model's whole validation split."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.options import DataOption, ModelArgument
from harness.verify import verify
from kernels.target import find_target
from models import load


def command(
    model: ModelArgument,
    target: Annotated[
        list[str] | None, typer.Option(help="A target; may be repeated. Default: mega and cpm.")
    ] = None,
    data: DataOption = None,
    examples: Annotated[
        int | None, typer.Option(min=1, help="Compare only the first N examples.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes that share the work.")] = 2,
) -> None:
    """Run every example that accuracy is of in the emulator; compare all outputs.

    Exits with 1 where a program does not fit or an output differs from the reference.
    """
    chosen = [find_target(name) for name in target or ("mega", "cpm")]
    loaded = load(model, data)
    failed = False
    for one in chosen:
        found = verify(loaded, [one], examples=examples, jobs=jobs)
        typer.echo(found.text())
        failed |= bool(found.misfit or found.difference)
    if failed:
        raise typer.Exit(1)
