"""truecycle bench: the cycle tables of a model."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from harness.measure import measure
from harness.options import DataOption, EncodingOption, ModelArgument, parse_encodings
from harness.result import records_of, result_of
from harness.run import DEFAULT_LIMIT
from harness.store import check_writable, write_csv, write_json
from harness.terminal import console_width, is_terminal
from harness.text import render_results
from kernels.target import find_target, targets
from models import load


def command(
    model: ModelArgument,
    target: Annotated[
        list[str] | None, typer.Option(help="A target; may be repeated. Default: all targets.")
    ] = None,
    data: DataOption = None,
    inputs: Annotated[int | None, typer.Option(min=1, help="Run only the first N inputs.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, help="Cycles after which an inference is given up.")
    ] = DEFAULT_LIMIT,
    encoding: EncodingOption = None,
    json: Annotated[Path | None, typer.Option(help="Write the records as JSON.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the records as CSV.")] = None,
) -> None:
    """Measure a model on targets: cycles, latency, flash, SRAM, accuracy.

    Exits with 1 where a program does not fit or is not bit-exact.
    """
    chosen = [find_target(name) for name in target or targets()]
    for path in filter(None, (json, csv)):
        check_writable(path)
    loaded = load(model, data)
    if inputs:
        loaded = loaded.shortened(inputs)
    encodings = parse_encodings(encoding)
    accuracy = cache(loaded.reference.accuracy)  # it imports torch, and serves every target
    measurements = [
        measure(
            loaded, one, encodings=encodings, limit=limit, reference_accuracy=lambda _: accuracy()
        )
        for one in chosen
    ]
    results = [result_of(one, f"{model}@{one.target.name}") for one in measurements]
    typer.echo(render_results(results, console_width(), color=is_terminal()), nl=False)
    if json:
        write_json(json, records_of(results))
    if csv:
        write_csv(csv, records_of(results))
    if not all(one.bit_exact for one in measurements):
        raise typer.Exit(1)
