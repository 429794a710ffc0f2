"""The columns of the tables; a new column is one record here.

Its name is what `--cycles-columns`, `--cycles-sort` and `--cycles-fail` take. The name of a group
stands for all of its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.estimate import (
    cycles_error,
    estimated_cycles,
    estimated_flash,
    flash_error,
)
from harness.record import FITS, Record

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, its title, the value that it has of a record, and how that is written.

    rank: where the terminal is too narrow for all, the columns with the highest rank go first.
    programs, layers: which tables it is in. optional: shown only where it is asked for.
    points: values are shares, whose differences are told in percentage points. derived: follows
    from other columns, so that it is not compared.
    """

    name: str
    title: str
    value: Callable[[Record], Value]
    text: Callable[..., str] = str
    rank: int = 0
    left: bool = False
    programs: bool = True
    layers: bool = True
    optional: bool = False
    points: bool = False
    derived: bool = False
    group: str | None = None

    def show(self, record: Record) -> str:
        """The cell's text, empty where the value is unknown."""
        value = self.value(record)
        return "" if value is None else self.text(value)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _fixed(digits: int) -> Callable[[float], str]:
    return lambda value: f"{value:,.{digits}f}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _signed(value: float) -> str:
    return f"{value:+.0%}"


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


def _estimate(
    name: str, title: str, value: Callable[[Record], Value], text: Callable[..., str]
) -> Column:
    return Column(name, title, value, text, optional=True, derived=True, group="estimates")


COLUMNS = (
    Column("model", "model", lambda r: r.model, left=True),
    Column("target", "target", lambda r: r.target, left=True),
    Column("layer", "layer", lambda r: r.layer, left=True, programs=False),
    Column("encoding", "encoding", lambda r: r.encoding, rank=4, left=True, programs=False),
    Column("inputs", "inputs", lambda r: r.n_inputs, _count, rank=9, layers=False),
    Column("sum", "cycles sum", lambda r: r.cycles_sum, _count, optional=True, group="cycles"),
    Column("min", "cycles min", lambda r: r.cycles_min, _count, rank=4, group="cycles"),
    Column("mean", "mean", lambda r: r.cycles_mean, _fixed(1), group="cycles"),
    Column("p95", "p95", lambda r: r.cycles_p95, _count, rank=3, group="cycles"),
    Column("max", "max", lambda r: r.cycles_max, _count, rank=2, group="cycles"),
    Column("ms", "ms", lambda r: r.latency_ms, _fixed(3), derived=True),
    Column("flash", "flash", lambda r: r.flash_bytes, _count),
    Column("sram", "SRAM", lambda r: r.sram_bytes, _count),
    Column("stack", "stack", lambda r: r.stack_peak, _count, rank=5, layers=False),
    Column("macs", "MACs", lambda r: r.macs, _count, rank=7),
    Column("nonzero", "nonzero", lambda r: r.nnz, _count, rank=8),
    Column("per-mac", "cycles/MAC", lambda r: r.cycles_per_mac, _fixed(2), rank=6, derived=True),
    _estimate("estimate", "est. cycles", estimated_cycles, _count),
    _estimate("estimate-error", "error", cycles_error, _signed),
    _estimate("flash-estimate", "est. flash", estimated_flash, _count),
    _estimate("flash-error", "flash error", flash_error, _signed),
    Column("exact", "exact", lambda r: r.bit_exact, _yes, layers=False),
    Column("accuracy", "accuracy", lambda r: r.accuracy, _percent, layers=False, points=True),
    Column(
        "pytorch",
        "PyTorch",
        lambda r: r.reference_accuracy,
        _percent,
        rank=1,
        layers=False,
        points=True,
    ),
    Column("fits", "fits", lambda r: r.verdict == FITS, _yes, layers=False),
)

PROGRAM_COLUMNS = tuple(c for c in COLUMNS if c.programs and not c.optional)
LAYER_COLUMNS = tuple(c for c in COLUMNS if c.layers and not c.optional)
_KEYS = ("model", "target", "layer")


def find_columns(name: str) -> tuple[Column, ...]:
    """The column of that name, or the columns of that group; HarnessError where there is none."""
    found = tuple(column for column in COLUMNS if name in {column.name, column.group})
    if not found:
        known = ", ".join(column.name for column in COLUMNS)
        groups = sorted({column.group for column in COLUMNS if column.group})
        raise HarnessError(
            f"no column is named {name!r}; choose of: {known}; or groups: {', '.join(groups)}"
        )
    return found


@dataclass(frozen=True, slots=True)
class View:
    """What of the records is shown, and in which order.

    columns: names of columns or groups; none shows all that are not optional. Model, target and
    layer are always there. sort: a column's name, the largest value last; after a `-`, first.
    layers: how many layers of each program are shown, the costliest; None for all, in order.
    Raises HarnessError for columns that are none.
    """

    columns: tuple[str, ...] = ()
    sort: str | None = None
    layers: int | None = None

    def __post_init__(self) -> None:
        self._chosen()
        if self.sort:
            find_columns(self.sort.removeprefix("-"))

    @property
    def program_columns(self) -> tuple[Column, ...]:
        """Columns of the table by program."""
        return tuple(column for column in self._chosen() if column.programs)

    @property
    def layer_columns(self) -> tuple[Column, ...]:
        """Columns of the table by layer."""
        return tuple(column for column in self._chosen() if column.layers)

    def sorted(self, programs: Sequence[tuple[Record, ...]]) -> list[tuple[Record, ...]]:
        """Programs, each the records of the whole and of its layers, in the order to be shown."""
        shown = [self._shortened(records) for records in programs]
        if self.sort is None:
            return shown
        column = find_columns(self.sort.removeprefix("-"))[0]
        known = [records for records in shown if column.value(records[0]) is not None]
        unknown = [records for records in shown if column.value(records[0]) is None]
        known.sort(key=lambda records: _key(column, records), reverse=self.sort.startswith("-"))
        return known + unknown

    def _shortened(self, records: tuple[Record, ...]) -> tuple[Record, ...]:
        total, *layers = records
        if self.layers is not None:
            layers = sorted(layers, key=lambda r: -(r.cycles_mean or 0))[: self.layers]
        return total, *layers

    def _chosen(self) -> tuple[Column, ...]:
        if not self.columns:
            return tuple(column for column in COLUMNS if not column.optional)
        asked = dict.fromkeys(c for name in self.columns for c in find_columns(name))
        keys = [column for name in _KEYS for column in find_columns(name)]
        return (*keys, *(column for column in asked if column not in keys))


def _key(column: Column, records: tuple[Record, ...]) -> str | int | float:
    value = column.value(records[0])
    assert value is not None
    return value
