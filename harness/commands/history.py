"""truecycle history: a model's cycles over commits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import HarnessError
from harness.history import Point, changed_only, draw_history, history
from harness.options import JsonOption, ModelArgument, complete_target
from harness.store import check_writable
from harness.table import Heading, Table
from harness.terminal import as_text, show

_BAR = 30


def command(
    model: ModelArgument,
    target: Annotated[
        str | None,
        typer.Option(help="Only this target.", autocompletion=complete_target),
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="Saved results that are in a git repository.")
    ] = Path("benchmarks/baseline"),
    svg: Annotated[Path | None, typer.Option(help="Draw them there.")] = None,
    json: JsonOption = None,
) -> None:
    """Show how a model's cycles and flash changed, by the baselines kept in git."""
    for wanted in filter(None, (svg, json)):
        check_writable(wanted)
    if not folder.is_dir():
        raise HarnessError(f"{folder} is no folder: give one that holds saved results")
    points = changed_only(history(folder, model, target))
    if not points:
        raise HarnessError(f"no commit keeps results of {model} in {folder}")
    if svg:
        svg.write_text(f'<?xml version="1.0"?>\n{draw_history(points)}', encoding="utf-8")
    show(as_text(_table(model, points)), json, {"points": [asdict(point) for point in points]})


def _table(model: str, points: list[Point]) -> Table:
    most = max((point.cycles_mean or 0) for point in points) or 1
    rows = [
        (
            point.target,
            point.commit[:9],
            point.date[:10],
            "" if point.cycles_mean is None else f"{point.cycles_mean:,.1f}",
            f"{point.flash_bytes:,}",
            "#" * round(_BAR * (point.cycles_mean or 0) / most),
            point.subject,
        )
        for point in sorted(points, key=lambda point: (point.benchmark, point.target))
    ]
    left = ("target", "commit", "date")
    headings = [Heading(title, left=True) for title in left]
    headings += [Heading("mean cycles"), Heading("flash")]
    headings += [Heading("", left=True, rank=2), Heading("subject", left=True, rank=3)]
    return Table(f"{model}: {len(points)} changes", tuple(headings), tuple(rows))
