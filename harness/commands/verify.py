"""truecycle verify: the emulator beside the reference, on a model's whole validation split."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated, Any

import typer

from harness.agreement import Stage, agreement_table, stages
from harness.emulate import emulate
from harness.executor import Executor, executor_for
from harness.expected import Expected
from harness.options import (
    DataOption,
    EncodingOption,
    JsonOption,
    ModelArgument,
    PlanOption,
    SchedulerOption,
    SomeTargetsOption,
    WorkersOption,
    parse_encodings,
)
from harness.plans import PlanPolicy
from harness.terminal import as_text, counted, show
from harness.verify import Verification, by_size, compile_for_first, verification
from kernels.errors import DoesNotFit
from kernels.image import Program
from kernels.target import find_target
from models import load

ISAS = ("avr", "z80")


def command(
    model: ModelArgument,
    target: SomeTargetsOption = None,
    data: DataOption = None,
    examples: Annotated[
        int | None, typer.Option(min=1, help="Compare only the first N examples.")
    ] = None,
    encoding: EncodingOption = None,
    plan: PlanOption = PlanPolicy.AUTO,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json: JsonOption = None,
) -> None:
    """Run every example that accuracy is of in the emulator, beside PyTorch and the reference.

    Without a target, the smallest AVR and the smallest Z80 that hold the program are taken. Exits
    with 1 where a program does not fit or an output differs from the reference.
    """
    chosen = [[find_target(name)] for name in target or ()] or [by_size(isa) for isa in ISAS]
    loaded, encodings = load(model, data), parse_encodings(encoding)
    wanted, executor = Expected(loaded, examples), executor_for(workers, scheduler)
    texts, content, failed = [], [], False
    for candidates in chosen:
        try:
            program = compile_for_first(loaded, candidates, plan, encodings)
        except DoesNotFit as misfit:
            texts.append(f"{loaded.name} {misfit}\n")
            failed = True
            continue
        verdict, forms = _compare(wanted, program, executor)
        table = agreement_table(loaded, program.target.name, len(wanted.inputs), forms)
        texts += [as_text(table), f"{verdict.text()}\n"]
        failed = failed or verdict.difference is not None
        held = {layer: str(choice) for layer, choice in program.choices.items()}
        content.append(
            {
                "verification": _plain(verdict),
                "encodings": held,
                "stages": [asdict(form) for form in forms],
            }
        )
    show("\n".join(texts), json, {"verifications": content})
    if failed:
        raise typer.Exit(1)


def _compare(
    wanted: Expected, program: Program, executor: Executor
) -> tuple[Verification, list[Stage]]:
    name = f"{program.graph.name} on {program.target.name}"
    with ThreadPoolExecutor(1) as beside, counted(name, len(wanted.inputs)) as progress:
        computed = beside.submit(wanted.compute)  # while others emulate
        emulated = emulate(program, wanted.inputs, executor, progress=progress)
        computed.result()
    return verification(wanted, program, emulated), stages(wanted, program, emulated)


def _plain(verdict: Verification) -> dict[str, Any]:
    return {name: value for name, value in asdict(verdict).items() if name != "misfit"}
