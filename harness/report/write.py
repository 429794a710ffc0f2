"""The report's page and its Markdown, from subjects."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.markdown import markdown_table
from harness.page import render_page
from harness.report import plots
from harness.report.gather import Subject
from harness.report.words import interpret
from harness.store import commit, tools
from harness.table import Heading, Table
from models import UnknownModel, recipes


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing and what it shows; `name` is its file's beside Markdown."""

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a report says, before it is laid out."""

    title: str
    lead: str
    method: Table
    summary: Table
    layers: Table
    figures: tuple[Figure, ...]
    interpretation: tuple[str, ...]
    protocol: tuple[str, ...]
    environment: Table
    commands: tuple[str, ...]


def make_report(
    after: Subject, before: Subject | None, others: Sequence[Subject], commands: Sequence[str]
) -> Report:
    """Tables, figures and words; `commands` are those that make the same report again."""
    subjects = [one for one in (before, after, *others) if one is not None]
    target = after.target
    return Report(
        title=f"{after.model.name} on {target.name}",
        lead=f"{after.model.title}, measured on {target.title} at {target.clock_hz / 1e6:g} MHz.",
        method=_method(after),
        summary=_summary(before, after, others),
        layers=_layers(before, after),
        figures=tuple(_figures(before, after, subjects)),
        interpretation=tuple(interpret(before, after, others)),
        protocol=_protocol(after),
        environment=_environment(),
        commands=tuple(commands),
    )


def write_html_report(report: Report, path: Path) -> None:
    """One page that holds all that it shows."""
    path.write_text(render_page("report.html", report=report, title=report.title), encoding="utf-8")


def write_markdown_report(report: Report, path: Path) -> None:
    """Markdown, with the figures as files beside it."""
    for figure in report.figures:
        drawn = figure.svg.replace("<svg", '<svg style="color: #777"', 1)
        beside = path.with_name(f"{path.stem}-{figure.name}.svg")
        beside.write_text(f'<?xml version="1.0"?>\n{drawn}', encoding="utf-8")
    text = render_page(
        "report.md", report=report, stem=path.stem, table=lambda table: markdown_table(table, 3)
    )
    path.write_text(text, encoding="utf-8")


def _method(one: Subject) -> Table:
    rows = [("model", one.model.title), *(("", note) for note in one.model.lines)]
    try:
        described = recipes.find(one.model.name).describe()
    except UnknownModel:
        described = {}
    for name, value in described.items():
        if name not in {"name", "title"}:
            rows += _flat(str(name), value)
    return Table(
        "Model and method", (Heading("what", left=True), Heading("value", left=True)), tuple(rows)
    )


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    """Nested plain data as rows."""
    if isinstance(value, dict):
        return [row for key, one in value.items() for row in _flat(f"{name}.{key}", one)]
    if isinstance(value, list | tuple) and any(isinstance(one, dict) for one in value):
        return [row for n, one in enumerate(value, 1) for row in _flat(f"{name} {n}", one)]
    return [(name, value if isinstance(value, str) else json.dumps(value))]


def _summary(before: Subject | None, after: Subject, others: Sequence[Subject]) -> Table:
    titles = (
        "accuracy", "float PyTorch", "cycles min", "mean", "p95", "max", "ms", "flash", "SRAM",
        "exact", "fits",
    )  # fmt: skip
    named = [("before", before), ("after", after), *(("beside", one) for one in others)]
    rows = tuple((role, *_row(one)) for role, one in named if one is not None)
    left = (Heading("", left=True), Heading("model", left=True))
    return Table(f"Before and after, on {after.target.name}", (*left, *map(Heading, titles)), rows)


def _row(one: Subject) -> tuple[str, ...]:
    memory = (f"{one.flash:,}", f"{one.sram:,}")
    if one.cycles is None or one.mean is None or one.accuracy is None:
        return (one.model.name, "", f"{one.float_accuracy:.1%}", *[""] * 5, *memory, "", "NO")
    p95 = int(np.percentile(one.cycles, 95, method="inverted_cdf"))
    return (
        one.model.name,
        f"{one.accuracy:.1%}",
        f"{one.float_accuracy:.1%}",
        f"{one.cycles.min():,}",
        f"{one.mean:,.1f}",
        f"{p95:,}",
        f"{one.cycles.max():,}",
        f"{one.target.milliseconds(one.mean):,.3f}",
        *memory,
        "yes" if one.equal else "NO",
        "yes",
    )


def _layers(before: Subject | None, after: Subject) -> Table:
    """A row for each layer of the model, with what it took before."""
    old, new = (dict(one.layer_cycles or {}) if one else {} for one in (before, after))
    rows = []
    for layer in dict.fromkeys([*new, *old]):
        macs = after.macs.get(layer)
        choice = after.program.choices.get(layer) if after.program else None
        cells = [
            layer,
            "" if choice is None else str(choice),
            "" if macs is None else f"{macs:,}",
            *("" if layer not in one else f"{one[layer]:,.1f}" for one in (old, new)),
            f"{new[layer] / macs:.2f}" if macs and layer in new else "",
        ]
        rows.append(tuple(cells))
    left = (Heading("layer", left=True), Heading("encoding", left=True))
    titles = ("MACs", "cycles before", "cycles after", "cycles/MAC")
    return Table("By layer, mean cycles", (*left, *map(Heading, titles)), tuple(rows))


def _figures(before: Subject | None, after: Subject, subjects: Sequence[Subject]) -> list[Figure]:
    found = []
    ran = [one for one in subjects if one.cycles is not None]
    for what in ("flash", "cycles"):
        if len(ran) > 1:
            caption = "The line joins what no other model betters."
            title = f"Accuracy against {what}"
            found.append(Figure(f"accuracy-{what}", title, caption, plots.trade_off(ran, what)))
    if ran:
        found.append(
            Figure("layers", "Cycles by layer", "Means over all examples.", plots.layer_bars(ran))
        )
    pair = [one for one in (before, after) if one is not None and one.cycles is not None]
    if pair:
        caption = "One inference for each example."
        histogram = plots.latency_histogram(pair)
        found.append(Figure("latency", "Latency of inferences", caption, histogram))
    if after.program is not None:
        caption = "SRAM is shared by what is not needed at the same time; the first user is named."
        found.append(Figure("memory", "Memory map", caption, plots.memory_map(after)))
    return found


def _protocol(one: Subject) -> tuple[str, ...]:
    return (
        f"Accuracy is of {one.model.evaluation.what}; {one.examples:,} of them were run in the "
        f"emulator (digest of the inputs {one.inputs}).",
        "Cycles are counted from the first instruction of the network to the end of its return, "
        "argmax included; they are exact and repeat.",
        "Flash is the whole image; SRAM is the arena and the measured peak of the stack.",
        "Exact means that every output of every example equals the integer reference.",
    )


def _environment() -> Table:
    rows = (("commit", commit() or "none"), ("machine", platform.machine()), *tools().items())
    return Table("Environment", (Heading("what", left=True), Heading("version", left=True)), rows)
