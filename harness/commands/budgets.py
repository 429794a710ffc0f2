"""truecycle budgets: the measured choice against single encodings, by budget of flash."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.budgets import content, draw, sweep, table
from harness.errors import HarnessError
from harness.options import DataOption, JsonOption, ModelArgument
from harness.store import check_writable
from harness.terminal import as_text, show, stages
from models import load


def command(
    model: ModelArgument,
    data: DataOption = None,
    svg: Annotated[Path | None, typer.Option(help="Draw them there.")] = None,
    json: JsonOption = None,
) -> None:
    """Sweep flash budgets of 16 to 256 KiB: the fastest plan beside each encoding alone.

    Costs are kept, so a second sweep takes seconds.
    """
    for wanted in filter(None, (svg, json)):
        check_writable(wanted)
    loaded = load(model, data)
    with stages() as progress:
        steps = list(sweep(loaded, progress=progress))
    if svg:
        if not any(step.found for step in steps):
            raise HarnessError(f"{loaded.name} fits none of the budgets: there is nothing to draw")
        svg.write_text(f'<?xml version="1.0"?>\n{draw(loaded.name, steps)}', encoding="utf-8")
    show(as_text(table(loaded.name, steps)), json, content(steps))
