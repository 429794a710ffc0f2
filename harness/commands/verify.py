"""truecycle verify: the emulator beside the reference, on a model's whole validation split."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from harness.agreement import agreement_table, stages
from harness.emulate import emulate
from harness.executor import executor_for
from harness.options import (
    DataOption,
    EncodingOption,
    JsonOption,
    ModelArgument,
    SchedulerOption,
    TargetsOption,
    WorkersOption,
    parse_encodings,
)
from harness.terminal import as_text, counted, show
from harness.verify import verification
from kernels.compile import compile_graph
from kernels.errors import DoesNotFit
from kernels.target import find_target
from models import load


def command(
    model: ModelArgument,
    target: TargetsOption = None,
    data: DataOption = None,
    examples: Annotated[
        int | None, typer.Option(min=1, help="Compare only the first N examples.")
    ] = None,
    encoding: EncodingOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json: JsonOption = None,
) -> None:
    """Run every example that accuracy is of in the emulator, beside PyTorch and the reference.

    The targets are mega and cpm, if none is named. Exits with 1 where a program does not fit or an
    output differs from the reference.
    """
    chosen = [find_target(name) for name in target or ("mega", "cpm")]
    loaded = load(model, data)
    inputs = loaded.evaluation.inputs[:examples]
    executor = executor_for(workers, scheduler)
    texts, content, failed = [], [], False
    for one in chosen:
        try:
            program = compile_graph(loaded.graph, one, parse_encodings(encoding))
        except DoesNotFit as misfit:
            texts.append(f"{loaded.name} {misfit}\n")
            failed = True
            continue
        with counted(f"{loaded.name} on {one.name}", len(inputs)) as progress:
            emulated = emulate(program, inputs, executor, progress=progress)
        verdict = verification(loaded, program, inputs, emulated)
        forms = stages(loaded, program, emulated)
        texts += [
            as_text(agreement_table(loaded, one.name, len(inputs), forms)),
            f"{verdict.text()}\n",
        ]
        failed = failed or verdict.difference is not None
        content.append(
            {"verification": _plain(verdict), "stages": [asdict(form) for form in forms]}
        )
    show("\n".join(texts), json, {"verifications": content})
    if failed:
        raise typer.Exit(1)


def _plain(verdict: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(verdict).items() if name != "misfit"}
