"""truecycle profile: where the cycles of one inference go."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.options import (
    DataOption,
    EncodingOption,
    ModelArgument,
    TargetOption,
    parse_encodings,
)
from harness.profile import ProfiledRun, profile
from harness.run import Runner
from harness.table import Heading, Table
from harness.terminal import console_width, is_terminal
from harness.text import render
from kernels.compile import compile_graph
from kernels.target import find_target
from models import load


def command(
    model: ModelArgument,
    target: TargetOption,
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
    program = compile_graph(loaded.graph, find_target(target), parse_encodings(encoding))
    result = profile(Runner(program), loaded.inputs[sample])
    if layer is not None and layer not in result.layers:
        raise typer.BadParameter(f"{model} has no layer {layer!r}: {', '.join(result.layers)}")
    typer.echo(render(_table(result, layer), console_width(), color=is_terminal()), nl=False)


def _table(result: ProfiledRun, layer: str | None) -> Table:
    """A row for each symbol of one layer, or of all."""
    shown = [cost for cost in result.symbols if layer in {None, cost.layer}]
    arena = f"{result.arena_touched:,} of {result.program.arena.size:,} bytes of the arena touched"
    return Table(
        f"{result.cycles:,} cycles, stack {result.stack_peak} bytes, {arena}",
        (
            Heading("symbol", left=True),
            Heading("layer", left=True),
            *map(Heading, ("address", "cycles", "share", "instructions")),
        ),
        tuple(
            (
                cost.symbol,
                cost.layer,
                f"{cost.address:#06x}",
                f"{cost.cycles:,}",
                f"{cost.cycles / result.cycles:.1%}",
                f"{cost.executed:,}",
            )
            for cost in sorted(shown, key=lambda cost: -cost.cycles)
        ),
    )
