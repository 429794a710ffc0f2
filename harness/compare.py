"""Comparing results with saved ones: what changed, and which changes are too much."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from harness.columns import COLUMNS, Column, Value, find_columns
from harness.errors import HarnessError
from harness.record import Record
from harness.result import Result


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that differs from the saved one. layer: None for the whole program.

    old, new: None where the figure, or the whole record, is not there.
    """

    benchmark: str
    model: str
    target: str
    layer: str | None
    column: Column
    old: Value
    new: Value

    @property
    def difference(self) -> Fraction | None:
        """New less old, in percentage points for shares; None where either is no number."""
        old, new = _number(self.old), _number(self.new)
        if old is None or new is None:
            return None
        return (new - old) * (100 if self.column.points else 1)

    @property
    def percent(self) -> Fraction | None:
        """How much more than the old figure, in percent of it; None where that is no number."""
        old, new = _number(self.old), _number(self.new)
        return (new - old) / old * 100 if old and new is not None else None

    @property
    def where(self) -> str:
        """The benchmark, program and layer."""
        layer = f", {self.layer}" if self.layer else ""
        return f"{self.benchmark}: {self.model} on {self.target}{layer}"

    def __str__(self) -> str:
        share = "" if self.percent is None else f" ({float(self.percent):+.3g} %)"
        return f"{self.column.name} {exact_text(self.old)} -> {exact_text(self.new)}{share}"


def _number(value: Value) -> Fraction | None:
    """Exactly what is written, so that 0.876 is no more than 0.1 points above 0.875."""
    return None if isinstance(value, bool | str | None) else Fraction(str(value))


def exact_text(value: Value) -> str:
    """A value with all its digits."""
    if value is None:
        return "nothing"
    return str(value) if isinstance(value, bool | str) else f"{value:,}"


@dataclass(frozen=True, slots=True)
class Limit:
    """How much a figure may change: `cycles:0%`, `flash:+16`, `accuracy:-0.1`.

    column: a column's or a group's name. most: in percent of the old figure, or in its own unit,
    which for accuracy is percentage points. sign: `+` holds rises to it, `-` falls, none both.
    """

    column: str
    sign: str
    most: Fraction
    relative: bool

    def exceeded_by(self, change: Change) -> bool:
        """Whether a change is too much; where a figure came or went, it always is."""
        if change.column not in find_columns(self.column):
            return False
        size = change.percent if self.relative else change.difference
        if size is None:
            return True
        allowed = (self.sign == "+" and size < 0) or (self.sign == "-" and size > 0)
        return not allowed and abs(size) > self.most

    def __str__(self) -> str:
        return f"{self.column}:{self.sign}{float(self.most):g}{'%' if self.relative else ''}"


def parse_limits(text: str) -> tuple[Limit, ...]:
    """Limits separated by commas; HarnessError where one is none."""
    return tuple(_parse_limit(part.strip()) for part in text.split(","))


def _parse_limit(text: str) -> Limit:
    match = re.fullmatch(r"([\w-]+):([+-]?)(\d+(?:\.\d+)?)(%?)", text)
    if not match:
        raise HarnessError(f"{text!r} is no limit; give some as in cycles:0%,accuracy:-0.1")
    column, sign, most, percent = match.groups()
    if all(found.derived for found in find_columns(column)):
        raise HarnessError(f"{column} follows from other columns: limit those, as in cycles:0%")
    return Limit(column, sign, Fraction(most), percent == "%")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Results beside saved ones.

    compared: how many programs; changed: how many of these have changes. missing: which programs
    are not among the saved ones.
    """

    changes: tuple[Change, ...]
    missing: tuple[str, ...]
    compared: int
    changed: int

    def told(self, limits: Sequence[Limit]) -> tuple[list[str], list[str]]:
        """Lines, by program and layer: of changes that exceed a limit, and of those that do not."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        others: defaultdict[str, list[str]] = defaultdict(list)
        for change in self.changes:
            exceeded = next((limit for limit in limits if limit.exceeded_by(change)), None)
            if exceeded:
                found[f"{change.where} (limit {exceeded})"].append(str(change))
            else:
                others[change.where].append(str(change))
        failures, rest = (
            [f"{where}: {', '.join(changes)}" for where, changes in lines.items()]
            for lines in (found, others)
        )
        return failures, rest


def compare(old: Sequence[Result], new: Sequence[Result]) -> Comparison:
    """Compare results of the same benchmark, pairing those of a model and a target in order.

    Raises HarnessError where the inputs are others, since then no figure says anything.
    """
    saved = _by_program(old)
    pairs: list[tuple[Result, Result]] = []
    missing: list[str] = []
    for key, results in _by_program(new).items():
        before = saved.get(key, [])
        pairs.extend(zip(before, results, strict=False))
        for result in results[len(before) :]:
            missing.append(f"{result.benchmark}: {key[0]} on {key[1]} is not")
    by_pair = [tuple(_changes(*pair)) for pair in pairs]
    return Comparison(
        changes=tuple(change for changes in by_pair for change in changes),
        missing=tuple(missing),
        compared=len(pairs),
        changed=sum(bool(changes) for changes in by_pair),
    )


def _by_program(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    def program(result: Result) -> tuple[str, str]:
        return result.total.model, result.total.target

    ordered = sorted(results, key=program)
    return {key: list(group) for key, group in groupby(ordered, key=program)}


def _changes(old: Result, new: Result) -> Iterable[Change]:
    if old.inputs != new.inputs:
        raise HarnessError(
            f"{new.benchmark}: the inputs of {new.total.model} on {new.total.target} are not those "
            "that were saved: run those, or save the results again"
        )
    before, after = _by_layer(old), _by_layer(new)
    for layer in dict.fromkeys([*before, *after]):
        for column in (column for column in COLUMNS if not column.derived):
            was, now = (_value(column, records.get(layer)) for records in (before, after))
            if was != now:
                total = new.total
                yield Change(new.benchmark, total.model, total.target, layer, column, was, now)


def _by_layer(result: Result) -> dict[str | None, Record]:
    return {record.layer: record for record in result.records}


def _value(column: Column, record: Record | None) -> Value:
    if record is None or not (column.layers if record.layer else column.programs):
        return None
    return column.value(record)
