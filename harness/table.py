"""Tables as plain data: headings and rows of text, whatever they are written as."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.columns import Column, View
from harness.record import Record
from harness.result import Result


@dataclass(frozen=True, slots=True)
class Heading:
    """A column's title; where it is too narrow for all, the highest rank goes first."""

    title: str
    left: bool = False
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text below headings. sections: numbers of the rows before which there is a gap."""

    title: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[str, ...], ...]
    sections: frozenset[int] = frozenset()

    def without(self, heading: Heading) -> Table:
        """The same table without one column."""
        at = self.headings.index(heading)
        rows = tuple(row[:at] + row[at + 1 :] for row in self.rows)
        return Table(self.title, self.headings[:at] + self.headings[at + 1 :], rows, self.sections)


def cycle_tables(results: Sequence[Result], view: View) -> list[Table]:
    """The cycle table by program, and the one by layer."""
    programs = view.sorted([result.records for result in results])
    layers = [record for _, *records in programs for record in records]
    totals = [records[0] for records in programs]
    tables = [record_table("cycles per inference", view.program_columns, totals)]
    if layers:
        tables.append(record_table("by layer", view.layer_columns, layers))
    return tables


def remarks_of(results: Iterable[Result]) -> list[str]:
    """What has to be said of results, each remark once."""
    return list(dict.fromkeys(remark for result in results for remark in result.remarks))


def record_table(title: str, columns: Sequence[Column], records: Sequence[Record]) -> Table:
    """A row for each record."""
    return Table(
        title,
        tuple(Heading(column.title, column.left, column.rank) for column in columns),
        tuple(tuple(column.show(record) for column in columns) for record in records),
        frozenset(_sections(records)),
    )


def _sections(records: Sequence[Record]) -> Iterable[int]:
    """Where the layers of another program begin."""
    for number in range(1, len(records)):
        before, here = records[number - 1], records[number]
        if here.layer is not None and (before.model, before.target) != (here.model, here.target):
            yield number
