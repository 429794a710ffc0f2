"""truecycle profile: where the cycles of one inference go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from numpy.typing import NDArray

from harness.activity import Activity, measure_activity, render_activity
from harness.hot_blocks import InstructionCost, hot_blocks, instruction_costs, render_blocks
from harness.options import (
    DataOption,
    EncodingOption,
    InputOption,
    JsonOption,
    ModelArgument,
    PlanOption,
    TargetOption,
    chosen_input,
    parse_encodings,
)
from harness.plans import PlanPolicy, compile_model
from harness.profile import ProfiledRun, profile
from harness.profile_files import PROFILE_FILES
from harness.run import Runner
from harness.store import check_writable
from harness.table import Heading, Table
from harness.terminal import as_text, counted, show
from kernels.target import find_target
from models import load


def command(
    model: ModelArgument,
    target: TargetOption,
    data: DataOption = None,
    sample: InputOption = 0,
    layer: Annotated[str | None, typer.Option(help="Show only this layer's code.")] = None,
    encoding: EncodingOption = None,
    plan: PlanOption = PlanPolicy.AUTO,
    blocks: Annotated[
        int | None,
        typer.Option(min=0, help="List the N costliest blocks. Default: all of a layer, or none."),
    ] = None,
    activity: Annotated[
        bool, typer.Option("--activity", help="Run all inputs; show why they cost differently.")
    ] = False,
    callgrind: Annotated[Path | None, typer.Option(help=PROFILE_FILES["callgrind"].help)] = None,
    speedscope: Annotated[Path | None, typer.Option(help=PROFILE_FILES["speedscope"].help)] = None,
    folded: Annotated[Path | None, typer.Option(help=PROFILE_FILES["folded"].help)] = None,
    json: JsonOption = None,
) -> None:
    """Show where the cycles of one inference go, by symbol and by block, the costliest first."""
    files = {"callgrind": callgrind, "speedscope": speedscope, "folded": folded}
    for wanted in filter(None, (json, *files.values())):
        check_writable(wanted)
    loaded = load(model, data)
    x = chosen_input(loaded, sample)
    program = compile_model(loaded, find_target(target), plan, parse_encodings(encoding))
    runner = Runner(program)
    result = profile(runner, x)
    if layer is not None and layer not in result.layers:
        raise typer.BadParameter(f"{model} has no layer {layer!r}: {', '.join(result.layers)}")
    costs = instruction_costs(result)
    for kind, path in files.items():
        if path:
            PROFILE_FILES[kind].write(path, result, costs)
    shown = [cost for cost in costs if layer in {None, cost.layer}]
    count = blocks if blocks is not None else 0 if layer is None else len(shown)
    found = _activity(runner, loaded.inputs, layer) if activity else []
    text = "\n".join(
        [
            as_text(_table(result, layer)),
            render_blocks(hot_blocks(shown)[:count], result.cycles),
            *map(render_activity, found),
        ]
    )
    show(f"{text.rstrip()}\n", json, _content(result, shown, found))


def _activity(runner: Runner, inputs: NDArray[Any], layer: str | None) -> list[Activity]:
    with counted("inferences", len(inputs)) as progress:
        found = measure_activity(runner, inputs, progress)
    return [one for one in found if layer in {None, one.layer}]


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


def _content(
    result: ProfiledRun, costs: Sequence[InstructionCost], activity: Sequence[Activity]
) -> dict[str, Any]:
    return {
        "program": result.program.graph.name,
        "target": result.program.target.name,
        "cycles": result.cycles,
        "stack_peak": result.stack_peak,
        "arena_touched": result.arena_touched,
        "layers": result.layers,
        "instructions": [
            {
                "address": cost.address,
                "layer": cost.layer,
                "symbol": cost.symbol,
                "text": " ".join(cost.line.text.split(";")[0].split()),
                "cycles": cost.cycles,
                "count": cost.count,
            }
            for cost in costs
        ],
        "activity": [
            {
                "layer": one.layer,
                "elements": one.elements,
                "active": one.active.tolist(),
                "cycles": one.cycles.tolist(),
            }
            for one in activity
        ],
    }
