"""Pages of HTML that hold all that they show: no script, no file besides, no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.columns import View
from harness.result import Result
from harness.store import commit, tools
from harness.table import cycle_tables, remarks_of


def write_html(path: Path, results: Sequence[Result], view: View) -> None:
    """The cycle tables and what has to be said of them, as one page."""
    page = render_page(
        "tables.html",
        title="truecycle: cycle tables",
        tables=cycle_tables(results, view),
        remarks=remarks_of(results),
        commit=commit(),
        tools=tools(),
    )
    path.write_text(page, encoding="utf-8")


def render_page(template: str, **values: Any) -> str:
    """A template of `harness/templates`, filled; in HTML, text is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - rarely needed

    environment = Environment(
        loader=PackageLoader("harness"),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
