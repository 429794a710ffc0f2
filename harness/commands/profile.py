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
from harness.profile import profile
from harness.run import Runner
from harness.table import render_profile
from harness.terminal import console_width, is_terminal
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
    typer.echo(render_profile(result, layer, console_width(), color=is_terminal()), nl=False)
