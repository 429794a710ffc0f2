"""truecycle sweep: many configurations, on this machine or on Dask's workers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import HarnessError
from harness.executor import executor_for
from harness.options import (
    DataOption,
    JsonOption,
    PlanOption,
    SchedulerOption,
    TargetsOption,
    WorkersOption,
    complete_model,
)
from harness.plans import PlanPolicy
from harness.record import FITS
from harness.store import check_writable
from harness.sweep import Outcome, configurations, merged, sweep
from harness.table import Heading, Table
from harness.terminal import as_text, counted, show
from kernels.target import find_target, targets


def command(
    model: Annotated[list[str], typer.Argument(autocompletion=complete_model, help="Models.")],
    journal: Annotated[
        Path, typer.Option(help="File of finished configurations; one that is there is gone on.")
    ],
    target: TargetsOption = None,
    data: DataOption = None,
    encoding: Annotated[
        list[str] | None,
        typer.Option(metavar="LAYER=NAME,...", help="Encodings to try; may be repeated."),
    ] = None,
    budget: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Bytes of code memory, in place of the target's; repeatable."),
    ] = None,
    plan: PlanOption = PlanPolicy.AUTO,
    examples: Annotated[
        int | None, typer.Option(min=1, help="Run only the first N examples.")
    ] = None,
    shard: Annotated[int, typer.Option(min=1, help="Examples that one job runs.")] = 256,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json: JsonOption = None,
) -> None:
    """Run every combination of models, targets, encodings and budgets; interrupt it at will.

    Layers without an encoding get the one that --plan says, within the budget.

    Exits with 1 where an output differs from the reference.
    """
    check_writable(journal)
    for name in target or ():
        find_target(name)
    wanted = configurations(
        model,
        target or list(targets()),
        encodings=_alternatives(encoding or ()),
        budgets=budget or [None],
        examples=examples,
        shard=shard,
        data=data,
        plan=plan,
    )
    with counted("configurations", len(wanted)) as progress:
        outcomes = sweep(wanted, executor_for(workers, scheduler), journal, progress)
    programs = merged(outcomes)
    show(as_text(_table(programs)), json, {"programs": [asdict(one) for one in programs]})
    if any(one.equal != one.examples for one in programs if one.verdict == FITS):
        raise typer.Exit(1)


def _alternatives(texts: list[str] | tuple[str, ...]) -> dict[str, list[str]]:
    found = {}
    for text in texts:
        layer, equals, names = text.partition("=")
        if not equals or not all(names.split(",")):
            raise HarnessError(f"{text!r} is not LAYER=NAME,...")
        found[layer] = names.split(",")
    return found


def _table(programs: list[Outcome]) -> Table:
    titles = ("budget", "examples", "mean cycles", "max", "flash", "SRAM", "equal", "accuracy")
    texts = ("model", "target", "encodings")
    headings = (*(Heading(text, left=True) for text in texts), *map(Heading, titles))
    rows = tuple(map(_row, programs))
    return Table(f"{len(programs)} programs", (*headings, Heading("verdict", left=True)), rows)


def _row(outcome: Outcome) -> tuple[str, ...]:
    one = outcome.configuration
    held = outcome.held or dict(one.encodings)
    encodings = " ".join(f"{layer}={name.replace(' ', '')}" for layer, name in held.items())
    head = (one.model, one.target, encodings, "" if one.budget is None else f"{one.budget:,}")
    flash = "" if outcome.flash_bytes is None else f"{outcome.flash_bytes:,}"
    if outcome.verdict != FITS or outcome.cycles_sum is None:
        return (*head, "", "", "", flash, "", "", "", outcome.verdict)
    count = outcome.examples
    return (
        *head,
        f"{count:,}",
        f"{outcome.cycles_sum / count:,.1f}",
        f"{outcome.cycles_max:,}",
        flash,
        f"{outcome.sram_bytes:,}",
        "yes" if outcome.equal == count else "NO",
        f"{(outcome.right or 0) / count:.2%}",
        outcome.verdict,
    )
