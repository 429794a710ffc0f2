"""The columns of the tables; a new column is one record here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.record import FITS, Record


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, what it shows of a record, and how much it matters.

    rank: where the terminal is too narrow for all, the columns with the highest rank go first.
    """

    title: str
    show: Callable[[Record], str]
    rank: int = 0
    left: bool = False


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _fixed(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _exact(value: bool | None) -> str:
    return {True: "yes", False: "NO", None: ""}[value]


_MODEL = Column("model", lambda r: r.model, left=True)
_TARGET = Column("target", lambda r: r.target, left=True)
_CYCLES = (
    Column("cycles min", lambda r: _count(r.cycles_min), rank=4),
    Column("mean", lambda r: _fixed(r.cycles_mean, 1)),
    Column("p95", lambda r: _count(r.cycles_p95), rank=3),
    Column("max", lambda r: _count(r.cycles_max), rank=2),
    Column("ms", lambda r: _fixed(r.latency_ms, 3)),
)
_WORK = (
    Column("MACs", lambda r: _count(r.macs), rank=7),
    Column("nonzero", lambda r: _count(r.nnz), rank=8),
    Column("cycles/MAC", lambda r: _fixed(r.cycles_per_mac, 2), rank=6),
)

PROGRAM_COLUMNS = (
    _MODEL,
    _TARGET,
    Column("inputs", lambda r: _count(r.n_inputs), rank=9),
    *_CYCLES,
    Column("flash", lambda r: _count(r.flash_bytes)),
    Column("SRAM", lambda r: _count(r.sram_bytes)),
    Column("stack", lambda r: _count(r.stack_peak), rank=5),
    *_WORK,
    Column("exact", lambda r: _exact(r.bit_exact)),
    Column("accuracy", lambda r: _percent(r.accuracy)),
    Column("PyTorch", lambda r: _percent(r.reference_accuracy), rank=1),
    Column("fits", lambda r: "yes" if r.verdict == FITS else "NO"),
)

LAYER_COLUMNS = (
    _MODEL,
    _TARGET,
    Column("layer", lambda r: r.layer or "", left=True),
    Column("encoding", lambda r: r.encoding or "", rank=4, left=True),
    *_CYCLES,
    Column("flash", lambda r: _count(r.flash_bytes)),
    Column("SRAM", lambda r: _count(r.sram_bytes)),
    *_WORK,
)
