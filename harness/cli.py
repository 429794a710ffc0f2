"""The command `truecycle`: the harness without pytest."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from harness.errors import KNOWN_ERRORS
from harness.measure import measure
from harness.profile import profile
from harness.run import DEFAULT_LIMIT, Runner
from harness.store import check_writable, write_csv, write_json
from harness.table import render_profile, render_tables
from kernels.compile import compile_graph
from kernels.target import find_target, targets
from models import catalog, load, train
from models.training import TrainingStep

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a wrong option is told in a line, not in a frame
    help="Cycle-accurate, emulator-backed benchmarks of compressed neural networks.",
)
console = Console()

DataOption = Annotated[
    Path | None, typer.Option("--data", "--z80ai", help="Folder with the model's files.")
]

EncodingOption = Annotated[
    list[str] | None,
    typer.Option(metavar="LAYER=NAME", help="A layer's weight encoding; may be repeated."),
]


@app.command()
def bench(
    model: Annotated[str, typer.Argument(help="A model; `truecycle models` lists them.")],
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
    encodings = _encodings(encoding)
    accuracy = cache(loaded.reference.accuracy)  # it imports torch, and serves every target
    results = [
        measure(
            loaded, one, encodings=encodings, limit=limit, reference_accuracy=lambda _: accuracy()
        )
        for one in chosen
    ]
    width = console.width if console.is_terminal else 170
    typer.echo(render_tables(results, width, color=console.is_terminal), nl=False)
    records = [record for result in results for record in result.records]
    if json:
        write_json(json, records)
    if csv:
        write_csv(csv, records)
    if not all(result.bit_exact for result in results):
        raise typer.Exit(1)


@app.command("profile")
def profile_command(
    model: Annotated[str, typer.Argument(help="A model; `truecycle models` lists them.")],
    target: Annotated[str, typer.Option(help="A target; `truecycle targets` lists them.")],
    data: DataOption = None,
    sample: Annotated[
        int, typer.Option("--input", min=0, help="Number of the input to run, from 0.")
    ] = 0,
    layer: Annotated[str | None, typer.Option(help="Show only this layer's code.")] = None,
    encoding: EncodingOption = None,
) -> None:
    """Show where the cycles of one inference go, by symbol, the costliest first."""
    loaded = load(model, data)
    if sample >= len(loaded.inputs):
        raise typer.BadParameter(f"{model} has {len(loaded.inputs)} inputs, from 0")
    program = compile_graph(loaded.graph, find_target(target), _encodings(encoding))
    result = profile(Runner(program), loaded.inputs[sample])
    if layer is not None and layer not in result.layers:
        raise typer.BadParameter(f"{model} has no layer {layer!r}: {', '.join(result.layers)}")
    width = console.width if console.is_terminal else 170
    typer.echo(render_profile(result, layer, width, color=console.is_terminal), nl=False)


@app.command("train")
def train_command(
    model: Annotated[str, typer.Argument(help="What to train, for example `digits`.")],
    data: DataOption = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same checkpoint.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The checkpoint to write. Default: the project's own.")
    ] = None,
) -> None:
    """Train a checkpoint from nothing; a recipe that was interrupted goes on where it was."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True))
    task = progress.add_task(model)
    with ExitStack() as shown:  # from the first step on: an error before it is one line

        def step(now: TrainingStep) -> None:
            if not progress.live.is_started:
                shown.enter_context(progress)
            text = f"{model} epoch {now.epoch} loss {now.loss:.4f}"
            progress.update(task, total=now.epochs, completed=now.epoch, description=text)

        report = train(model, seed, out, step, data=data)
    for what, value in report.accuracies.items():
        typer.echo(f"{value:7.2%}  {what}")
    typer.echo(f"wrote {report.path}")


@app.command("models")
def models_command() -> None:
    """List the models, and what each needs from outside the project."""
    for entry in catalog():
        need = (
            f"  (needs {entry.data.contents}: --data or {entry.data.variable})"
            if (entry.data)
            else ""
        )
        typer.echo(f"{entry.name:16} {entry.title}{need}")


@app.command("targets")
def targets_command() -> None:
    """List the targets: clock, code memory, data memory, and where the figures are from."""
    for target in targets().values():
        typer.echo(
            f"{target.name:6} {target.title}: {target.clock_hz / 1e6:g} MHz, "
            f"code {target.code.size:,} bytes at {target.code.origin:#x}, "
            f"data {target.data.size:,} bytes at {target.data.origin:#x} ({target.source})"
        )


def _encodings(texts: Sequence[str] | None) -> dict[str, str]:
    """`LAYER=NAME` options, by layer."""
    found = {}
    for text in texts or ():
        layer, equals, name = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r} is not LAYER=NAME")
        found[layer] = name
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error that the project foresees is one line and exit code 1."""
    try:
        app(arguments, prog_name="truecycle")
    except KNOWN_ERRORS as error:
        typer.echo(f"truecycle: {error}", err=True)
        sys.exit(1)
