"""truecycle run: one input through the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.measure import first_difference
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
from harness.record import REST
from harness.run import Run, Runner
from harness.spoken import say, spoken_content, spoken_table
from harness.table import Heading, Table
from harness.terminal import as_text, show
from kernels import reference
from kernels.image import Program
from kernels.target import find_target
from models import Model, load


def command(
    model: ModelArgument,
    target: TargetOption,
    data: DataOption = None,
    sample: InputOption = 0,
    file: Annotated[
        Path | None,
        typer.Option(help="Run this input instead: integers as text, or an array as .npy."),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Say this to a chat network: it replies, character by character."),
    ] = None,
    encoding: EncodingOption = None,
    plan: PlanOption = PlanPolicy.AUTO,
    json: JsonOption = None,
) -> None:
    """Run one input: its outputs, beside the reference's, and the cycles of each layer.

    With --text, run all that a reply takes. Exits with 1 where an output is not the reference's.
    """
    loaded = load(model, data)
    if text is not None:
        program = compile_model(loaded, find_target(target), plan, parse_encodings(encoding))
        said = say(loaded, program, text)
        show(as_text(spoken_table(said)), json, spoken_content(said))
        if not said.bit_exact:
            raise typer.Exit(1)
        return
    x = read_input(file, loaded.graph.input.shape) if file else chosen_input(loaded, sample)
    program = compile_model(loaded, find_target(target), plan, parse_encodings(encoding))
    run = Runner(program).infer(x)
    exact = first_difference(loaded.graph, reference.run(loaded.graph, x[np.newaxis]), [run])
    show(_text(program, run, exact is None), json, _content(loaded, program, run, exact is None))
    if exact is not None:
        raise typer.Exit(1)


def read_input(path: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """The integers in a file, in that shape; HarnessError for anything else."""
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        else:
            words = path.read_text(encoding="utf-8").replace(",", " ").split()
            values = np.array([int(word) for word in words], np.int64)
        return np.asarray(values).reshape(shape)
    except (OSError, ValueError) as error:
        raise HarnessError(f"{path} holds no integers of shape {shape}: {error}") from None


def _text(program: Program, run: Run, exact: bool) -> str:
    outputs = [f"{name}: {' '.join(map(str, run.outputs[name].flat))}" for name in run.outputs]
    took = program.target.milliseconds(run.cycles)
    verdict = "equal to the reference" if exact else "NOT equal to the reference"
    head = f"{program.graph.name} on {program.target.name}: {run.cycles:,} cycles, {took:.3f} ms"
    layers = {**run.layer_cycles, REST: run.cycles - sum(run.layer_cycles.values())}
    table = Table(
        f"{head}, {verdict}",
        (Heading("layer", left=True), Heading("cycles"), Heading("share")),
        tuple((name, f"{n:,}", f"{n / run.cycles:.1%}") for name, n in layers.items()),
    )
    return "\n".join([*outputs, "", as_text(table)])


def _content(model: Model, program: Program, run: Run, exact: bool) -> dict[str, Any]:
    return {
        "model": model.name,
        "target": program.target.name,
        "outputs": {name: values.tolist() for name, values in run.outputs.items()},
        "cycles": run.cycles,
        "layers": dict(run.layer_cycles),
        "latency_ms": program.target.milliseconds(run.cycles),
        "stack_peak": run.stack_peak,
        "bit_exact": exact,
    }
