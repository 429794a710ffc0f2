"""The kinds of files that results are written to; a new kind is one record here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.columns import View
from harness.markdown import write_markdown
from harness.page import write_html
from harness.result import Result, records_of
from harness.store import write_csv, write_json


@dataclass(frozen=True, slots=True)
class Writer:
    """How to write a file of results; `help` says what it holds."""

    help: str
    write: Callable[[Path, Sequence[Result], View], None]


WRITERS = {
    "json": Writer("write the records as JSON", lambda p, r, _: write_json(p, records_of(r))),
    "csv": Writer("write the records as CSV", lambda p, r, _: write_csv(p, records_of(r))),
    "md": Writer("write the tables as Markdown", write_markdown),
    "html": Writer("write the tables as one page of HTML", write_html),
}
