"""Tables of records for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from harness.columns import LAYER_COLUMNS, PROGRAM_COLUMNS, Column
from harness.measure import Measurement
from harness.profile import ProfiledRun
from harness.record import Record

UNLIMITED = 1000


def render_tables(measurements: Sequence[Measurement], width: int, *, color: bool = False) -> str:
    """The cycle table by program, the one by layer, and what has to be said of them."""
    programs = [m.total for m in measurements]
    layers = [record for m in measurements for record in m.records[1:]]
    parts = [
        render("cycles per inference", PROGRAM_COLUMNS, programs, width, color=color),
        render("by layer", LAYER_COLUMNS, layers, width, color=color),
    ]
    remarks = [remark for m in measurements for remark in _remarks(m)]
    return "\n".join(parts + list(dict.fromkeys(remarks))) + "\n"


def render_profile(
    result: ProfiledRun, layer: str | None, width: int, *, color: bool = False
) -> str:
    """Where one inference's cycles went, by symbol, the costliest first; of one layer or of all."""
    shown = [cost for cost in result.symbols if layer in {None, cost.layer}]
    arena = f"{result.arena_touched:,} of {result.program.arena.size:,} bytes of the arena touched"
    table = _empty_table(f"{result.cycles:,} cycles, stack {result.stack_peak} bytes, {arena}")
    for title in ("symbol", "layer", "address", "cycles", "share", "instructions"):
        left = title in {"symbol", "layer"}
        table.add_column(title, justify="left" if left else "right", no_wrap=True)
    for cost in sorted(shown, key=lambda cost: -cost.cycles):
        share = f"{cost.cycles / result.cycles:.1%}"
        figures = (f"{cost.address:#06x}", f"{cost.cycles:,}", share, f"{cost.executed:,}")
        table.add_row(cost.symbol, cost.layer, *figures)
    return _print(table, width, color=color)


def render(
    title: str, columns: Sequence[Column], records: Sequence[Record], width: int, *, color: bool
) -> str:
    """One table; columns that matter least are left out until it is no wider than `width`."""
    shown = list(columns)
    while True:
        table = _table(title, shown, records)
        needed = _console(UNLIMITED).measure(table).maximum
        least = max(shown, key=lambda column: column.rank)
        if needed <= width or least.rank == 0:
            break
        shown.remove(least)
    hidden = [column.title for column in columns if column not in shown]
    note = f"(too narrow for: {', '.join(hidden)})\n" if hidden else ""
    return _print(table, max(width, needed), color=color) + note


def _print(table: Table, width: int, *, color: bool) -> str:
    out = StringIO()
    _console(width, file=out, force_terminal=color, no_color=not color).print(table)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _console(width: int, **how: Any) -> Console:
    """A console that takes text as it is, and, as it is given a height, the width as it is."""
    return Console(width=width, height=25, markup=False, emoji=False, highlight=False, **how)


def _table(title: str, columns: Sequence[Column], records: Sequence[Record]) -> Table:
    table = _empty_table(title)
    for column in columns:
        table.add_column(
            column.title, justify="left" if column.left else "right", no_wrap=True, overflow="fold"
        )
    previous: tuple[str, str] | None = None
    for record in records:
        here = (record.model, record.target)
        if record.layer is not None and previous not in {None, here}:
            table.add_section()
        table.add_row(*(column.show(record) for column in columns))
        previous = here
    return table


def _empty_table(title: str) -> Table:
    return Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", collapse_padding=True)


def _remarks(measurement: Measurement) -> list[str]:
    """Lines below the tables."""
    model = measurement.model
    lines = []
    if measurement.misfit:
        lines.append(f"{model.name} {measurement.misfit}")
    if measurement.difference:
        where = measurement.difference
        lines.append(
            f"{model.name} on {measurement.target.name} is NOT bit-exact: input {where.sample}, "
            f"{where.tensor}[{where.index}]: emulator {where.got}, reference {where.want}"
        )
    if measurement.total.accuracy_by:
        lines.append(
            f"{model.name}: accuracy by the {measurement.total.accuracy_by}, "
            f"{model.evaluation.what}"
        )
    return lines + [f"{model.name}: {note}" for note in model.notes]
