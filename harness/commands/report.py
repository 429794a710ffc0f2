"""truecycle report: one page to hand in, and the same in Markdown."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.executor import Executor, executor_for
from harness.options import (
    DataOption,
    EncodingOption,
    JsonOption,
    ModelArgument,
    PlanOption,
    SchedulerOption,
    TargetOption,
    WorkersOption,
    complete_model,
    parse_encodings,
)
from harness.plans import PlanPolicy
from harness.report.gather import Subject, gather
from harness.report.write import make_report, write_html_report, write_markdown_report
from harness.store import check_writable
from harness.terminal import counted, show
from kernels.choice import Choices
from kernels.target import Target, find_target
from models import load


def command(
    model: ModelArgument,
    target: TargetOption,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    md: Annotated[
        Path | None, typer.Option(help="Write the same as Markdown, its figures beside it.")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(help="The model to compare with.", autocompletion=complete_model),
    ] = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(help="Another for the plots; repeatable.", autocompletion=complete_model),
    ] = None,
    data: DataOption = None,
    encoding: EncodingOption = None,
    plan: PlanOption = PlanPolicy.AUTO,
    examples: Annotated[
        int | None, typer.Option(min=1, help="Run only the first N examples.")
    ] = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json: JsonOption = None,
) -> None:
    """Measure a model, and others beside it, over all examples; write what there is to say.

    Exits with 1 where the model does not fit or is not bit-exact.
    """
    for wanted in filter(None, (out, md, json)):
        check_writable(wanted)
    chosen = find_target(target)
    executor = executor_for(workers, scheduler)
    names = [model, *([before] if before else []), *(beside or [])]
    encodings = parse_encodings(encoding)
    subjects = [
        _subject(name, chosen, executor, data, encodings if name == model else None, plan, examples)
        for name in names
    ]
    after, *rest = subjects
    earlier = rest.pop(0) if before else None
    report = make_report(after, earlier, rest, [_command_line(data)])
    write_html_report(report, out)
    if md:
        write_markdown_report(report, md)
    lines = [*report.interpretation, *(f"wrote {path}" for path in (out, md) if path)]
    content = {"title": report.title, "interpretation": report.interpretation}
    show("\n".join(lines), json, content)
    if not after.equal:
        raise typer.Exit(1)


def _subject(
    name: str,
    target: Target,
    executor: Executor,
    data: Path | None,
    encodings: Choices | None,
    plan: PlanPolicy,
    examples: int | None,
) -> Subject:
    loaded = load(name, data)
    total = len(loaded.evaluation.inputs[:examples])
    with counted(f"{name} on {target.name}", total) as progress:
        return gather(
            loaded,
            target,
            executor,
            encodings=encodings,
            plan=plan,
            examples=examples,
            progress=progress,
        )


def _command_line(data: Path | None) -> str:
    """The command that was given, without the place of files."""
    words = ["PATH" if data and word == str(data) else word for word in sys.argv[1:]]
    return " ".join(["truecycle", *words])
