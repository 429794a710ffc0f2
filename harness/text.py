"""Tables as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from harness.columns import View
from harness.result import Result
from harness.table import Table, cycle_tables, remarks_of

UNLIMITED = 1000


def render_results(
    results: Sequence[Result], width: int, view: View | None = None, *, color: bool = False
) -> str:
    """The cycle tables, and what has to be said of them."""
    tables = cycle_tables(results, view or View())
    parts = [render(table, width, color=color) for table in tables]
    return "\n".join(parts + remarks_of(results)) + "\n"


def render(table: Table, width: int, *, color: bool = False) -> str:
    """One table; columns that matter least are left out until it is no wider than `width`."""
    shown = table
    while True:
        rich_table = _rich(shown)
        needed = _console(UNLIMITED).measure(rich_table).maximum
        least = max(shown.headings, key=lambda heading: heading.rank)
        if needed <= width or least.rank == 0:
            break
        shown = shown.without(least)
    hidden = [heading.title for heading in table.headings if heading not in shown.headings]
    note = f"(too narrow for: {', '.join(hidden)})\n" if hidden else ""
    return f"{table.title}\n{_print(rich_table, max(width, needed), color=color)}{note}"


def _print(table: RichTable, width: int, *, color: bool) -> str:
    out = StringIO()
    _console(width, file=out, force_terminal=color, no_color=not color).print(table)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def _console(width: int, **how: Any) -> Console:
    """A console that takes text as it is, and, as it is given a height, the width as it is."""
    return Console(width=width, height=25, markup=False, emoji=False, highlight=False, **how)


def _rich(table: Table) -> RichTable:
    made = RichTable(box=box.SIMPLE_HEAD, collapse_padding=True)
    for heading in table.headings:
        made.add_column(
            heading.title,
            justify="left" if heading.left else "right",
            no_wrap=True,
            overflow="fold",
        )
    for number, row in enumerate(table.rows):
        if number in table.sections:
            made.add_section()
        made.add_row(*row)
    return made
