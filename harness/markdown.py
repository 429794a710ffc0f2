"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.columns import View
from harness.result import Result
from harness.table import Table, cycle_tables, remarks_of


def write_markdown(path: Path, results: Sequence[Result], view: View) -> None:
    """The cycle tables and what has to be said of them."""
    tables = [markdown_table(table) for table in cycle_tables(results, view)]
    remarks = "".join(f"- {_escape(remark)}\n" for remark in remarks_of(results))
    path.write_text("\n".join([*tables, remarks]), encoding="utf-8")


def markdown_table(table: Table, level: int = 2) -> str:
    """A heading of that level, and the table."""
    head = [heading.title for heading in table.headings]
    rules = ["---" if heading.left else "---:" for heading in table.headings]
    rows = [_row(head), _row(rules), *(_row(row) for row in table.rows)]
    return f"{'#' * level} {_escape(table.title)}\n\n" + "\n".join(rows) + "\n"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_escape(cell) for cell in cells)} |"


def _escape(text: str) -> str:
    """Without what Markdown would take for a cell's end, emphasis, a link or a tag."""
    return "".join(f"\\{c}" if c in "\\|*_`<[" else c for c in text)
