"""truecycle bench: the cycle tables of a model."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from harness.columns import View
from harness.compare import compare, parse_limits
from harness.errors import HarnessError
from harness.measure import Measurement, measure
from harness.options import (
    DataOption,
    EncodingOption,
    JsonOption,
    ModelArgument,
    PlanOption,
    TargetsOption,
    parse_encodings,
)
from harness.plans import PlanPolicy
from harness.result import Result, records_of, result_of
from harness.run import DEFAULT_LIMIT
from harness.storage import FOLDER, SavedRun
from harness.store import check_writable
from harness.terminal import console_width, counted, is_terminal, show
from harness.text import render_results
from harness.writers import WRITERS
from kernels.choice import Choices
from kernels.target import Target, find_target, targets
from models import Model, load


def command(
    model: ModelArgument,
    target: TargetsOption = None,
    data: DataOption = None,
    inputs: Annotated[int | None, typer.Option(min=1, help="Run only the first N inputs.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Cycles after which an inference is given up.")
    ] = DEFAULT_LIMIT,
    encoding: EncodingOption = None,
    plan: PlanOption = PlanPolicy.AUTO,
    json: JsonOption = None,
    csv: Annotated[Path | None, typer.Option(help=WRITERS["csv"].help)] = None,
    md: Annotated[Path | None, typer.Option(help=WRITERS["md"].help)] = None,
    html: Annotated[Path | None, typer.Option(help=WRITERS["html"].help)] = None,
    columns: Annotated[str, typer.Option(help="Columns to show, as in cycles,flash.")] = "",
    sort: Annotated[
        str | None, typer.Option(help="Sort by a column; after a -, the largest first.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=0, help="Show only the N costliest layers.")
    ] = None,
    save: Annotated[str | None, typer.Option(help="Save the results under this name.")] = None,
    compared: Annotated[
        str | None, typer.Option("--compare", help="Compare with results saved under this name.")
    ] = None,
    fail: Annotated[
        str | None, typer.Option(help="Changes to fail on, as in cycles:0%,accuracy:-0.1.")
    ] = None,
    storage: Annotated[Path, typer.Option(help="Folder of saved results.")] = FOLDER,
) -> None:
    """Measure a model on targets: cycles, latency, flash, SRAM, accuracy.

    Exits with 1 where a program does not fit, is not bit-exact, or changed more than allowed.
    """
    view = View(tuple(filter(None, columns.split(","))), sort, layers)
    files = {"csv": csv, "md": md, "html": html}
    for wanted in filter(None, (json, *files.values())):
        check_writable(wanted)
    before = _saved(compared, storage, fail)
    chosen = [find_target(name) for name in target or targets()]
    loaded = load(model, data)
    loaded = loaded.shortened(inputs) if inputs else loaded
    measurements = _measure(loaded, chosen, parse_encodings(encoding), plan, limit)
    results = [result_of(one, f"{model}@{one.target.name}") for one in measurements]
    text = render_results(results, console_width(), view, color=is_terminal())
    show(text, json, {"records": [record.flat() for record in records_of(results)]})
    for kind, path in files.items():
        if path:
            WRITERS[kind].write(path, results, view)
    failed = _compare(before, results, fail) if before else False
    if save:
        SavedRun.named(save, storage).save(results)
    if failed or not all(one.bit_exact for one in measurements):
        raise typer.Exit(1)


def _saved(name: str | None, storage: Path, fail: str | None) -> SavedRun | None:
    if fail and not name:
        raise typer.BadParameter("--fail needs --compare NAME, to compare with")
    if name is None:
        return None
    run = SavedRun.named(name, storage)
    if not run.exists:
        raise HarnessError(f"nothing is saved as {name} in {storage}: see --save")
    parse_limits(fail or "cycles:0")
    return run


def _measure(
    model: Model, chosen: list[Target], encodings: Choices, plan: PlanPolicy, limit: int
) -> list[Measurement]:
    accuracy = cache(model.reference.accuracy)  # it imports torch, and serves every target
    measurements = []
    for target in chosen:
        with counted(f"{model.name} on {target.name}", len(model.inputs)) as progress:
            measured = measure(
                model,
                target,
                encodings=encodings,
                plan=plan,
                limit=limit,
                reference_accuracy=lambda _: accuracy(),
                progress=progress,
            )
        measurements.append(measured)
    return measurements


def _compare(before: SavedRun, results: list[Result], fail: str | None) -> bool:
    """Say on standard error what changed; whether that is too much."""
    limits = parse_limits(fail) if fail else ()
    failed = False
    for result in results:
        comparison = compare(before.load(result.benchmark), [result])
        failures, others = comparison.told(limits)
        failed = failed or bool(failures)
        for line in (*failures, *others, *(f"{one} saved" for one in comparison.missing)):
            typer.echo(line, err=True)
    return failed
