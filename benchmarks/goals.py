"""Goals of kernels: the benchmark that measures one says so; all stand in one table at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.table import Heading, Table

KEY = "goal"
"""Of the property of a test's report, which pytest-xdist sends along."""
_BESIDE: Mapping[str, tuple[str, ...]] = {"avr": ("plain C",), "z80": ("MSX timing", "z80ai")}
_UNMEASURED = "-"


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure, and what is wanted of it: at most `must`, and at best `stretch`.

    isa: "avr" or "z80". beside: by the table's further columns, the same workload's figures there.
    """

    isa: str
    workload: str
    unit: str
    measured: float
    must: float
    stretch: float | None = None
    beside: Mapping[str, float | str] | None = None

    def as_property(self) -> dict[str, Any]:
        """Plain numbers and texts."""
        beside = {name: _plain(value) for name, value in (self.beside or {}).items()}
        return asdict(self) | {"measured": float(self.measured), "beside": beside}

    def check(self) -> None:
        """AssertionError where the goal is missed."""
        assert self.measured <= self.must, f"{self.workload}: {self.measured} > {self.must}"


def tables(properties: Iterable[Mapping[str, Any]]) -> list[Table]:
    """One for each instruction set, of goals as properties, in their order."""
    goals = [Goal(**one) for one in properties]
    return [
        _table(isa, [goal for goal in goals if goal.isa == isa])
        for isa in _BESIDE
        if any(goal.isa == isa for goal in goals)
    ]


def _table(isa: str, goals: list[Goal]) -> Table:
    headings = (
        *(Heading(name, left=True) for name in ("workload", "unit")),
        *(Heading(name) for name in ("measured", "goal", "stretch", "", *_BESIDE[isa])),
    )
    return Table(f"{isa.upper()} kernels beside their goals", headings, tuple(map(_row, goals)))


def _row(goal: Goal) -> tuple[str, ...]:
    met = "missed" if goal.measured > goal.must else "met"
    if goal.stretch is not None and goal.measured <= goal.stretch:
        met = "beyond"
    figures = (goal.measured, goal.must, goal.stretch)
    beside = goal.beside or {}
    others = (_figure(beside.get(name)) for name in _BESIDE[goal.isa])
    return (goal.workload, goal.unit, *map(_figure, figures), met, *others)


def _figure(value: float | str | None) -> str:
    if value is None:
        return _UNMEASURED
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def _plain(value: float | str) -> float | str:
    return value if isinstance(value, str) else float(value)
