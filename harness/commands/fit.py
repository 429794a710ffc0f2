"""truecycle fit: whether a model fits, and the best plan within what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.combine import Objective
from harness.fit import fit
from harness.fit_report import content, headline, tables
from harness.limits import limits_of
from harness.options import (
    DataOption,
    EncodingOption,
    JsonOption,
    ModelArgument,
    TargetOption,
    parse_encodings,
)
from harness.problem import CALIBRATION, spread
from harness.store import check_writable
from harness.terminal import as_text, show, stages
from harness.worst_report import worst_case, worst_content, worst_table
from kernels.target import find_target
from models import load


def command(
    model: ModelArgument,
    target: TargetOption,
    data: DataOption = None,
    flash: Annotated[
        int | None, typer.Option(help="Bytes of flash to use. Default: all of the target's.")
    ] = None,
    sram: Annotated[
        int | None, typer.Option(help="Bytes of SRAM, stack included. Default: all.")
    ] = None,
    objective: Annotated[
        Objective,
        typer.Option(
            help="What the plan keeps small: cycles over the calibration inputs, their bound over "
            "all inputs, or bytes."
        ),
    ] = Objective.MEAN,
    encoding: EncodingOption = None,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Show every candidate of every layer.")
    ] = False,
    worst: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Bound the worst case; search N steps for slow inputs."
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Find the best plan that fits: measure each layer's encodings, combine them, run the best.

    Where none fits, say what is missing and which targets would do. Exits with 1 then.
    """
    if json:
        check_writable(json)
    chosen = find_target(target)
    limits = limits_of(chosen, flash, sram)
    loaded = load(model, data)
    fixed = parse_encodings(encoding)
    with stages() as progress:
        found = fit(loaded, chosen, limits, objective=objective, fixed=fixed, progress=progress)
    shown, document = tables(found, candidates=candidates), content(found)
    if worst and found.fits:
        case = worst_case(found.draft, spread(loaded.calibration, CALIBRATION), steps=worst)
        shown.append(worst_table(case))
        document["worst_case"] = worst_content(case)
    show("\n".join([headline(found), *map(as_text, shown)]), json, document)
    if not found.fits:
        raise typer.Exit(1)
