"""The report's figures, as SVG without colors of their own for text: they follow the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness.report.gather import Subject
from kernels.emit import tensor_symbol
from kernels.image import Kind

_INK = "#010203"  # replaced by the page's color of text
_PALETTE = ("#3b82c4", "#e08a3c", "#4fa66a", "#b5669b", "#8d8db8", "#c9a227", "#5fb3b3", "#c25b56")
_SIZE = (6.0, 3.2)  # so narrow that a phone shows text of a readable size
_WHAT = {
    Kind.STARTUP: "code",
    Kind.CODE: "code",
    Kind.CONST: "constants",
    Kind.BANKED: "constants",
    Kind.BANKED_CODE: "code",
    Kind.UNUSED: "rest of banks",
}
_LEGEND_COLUMNS = 3
_BAR_ROOM, _LINE_ROOM = 1.1, 0.19  # inches: a title with its bar, and a line of its legend
Draw = Callable[[Any, Any], None]
"""Draws on a figure and its axes; several of them in a column where there are several panels."""


def figure(draw: Draw, size: tuple[float, float] = _SIZE, panels: int = 1) -> str:
    """What `draw` puts on (figure, axes), as an SVG element for a page."""
    import matplotlib  # noqa: PLC0415 - a second, which only reports pay

    matplotlib.use("agg")
    from matplotlib import pyplot  # noqa: PLC0415

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "truecycle",  # the same figure, the same bytes
        "font.family": "sans-serif",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **dict.fromkeys(
            ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK
        ),
    }
    with pyplot.rc_context(settings):
        canvas, axes = pyplot.subplots(panels, figsize=size, sharex=True, layout="constrained")
        canvas.patch.set_alpha(0)
        for one in canvas.axes:
            one.patch.set_alpha(0)
        draw(canvas, axes)
        out = io.StringIO()
        canvas.savefig(out, format="svg", metadata={"Date": None})
        pyplot.close(canvas)
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :].replace(_INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)


def trade_off(subjects: Sequence[Subject], what: str) -> str:
    """Accuracy against `flash` or `cycles`, with the front of what nothing else betters."""
    points = [
        (value, 100 * subject.accuracy, subject.model.name)
        for subject in subjects
        if subject.accuracy is not None and (value := _cost(subject, what)) is not None
    ]
    front = pareto([(x, y) for x, y, _ in points])

    def draw(_: Any, axes: Any) -> None:
        line = sorted(front)
        axes.step([x for x, _ in line], [y for _, y in line], where="post", color=_PALETTE[1])
        for number, (x, y, name) in enumerate(sorted(points)):
            color = _PALETTE[1] if (x, y) in front else _PALETTE[0]
            axes.plot([x], [y], "o", color=color, markersize=7)
            place = (6, 6) if number % 2 else (6, -15)  # neighbors are often near each other
            axes.annotate(name, (x, y), place, textcoords="offset points", fontsize=11)
        label = {"flash": "flash, bytes", "cycles": "cycles per inference, mean"}[what]
        axes.set(xlabel=label, ylabel="accuracy, %")
        axes.margins(x=0.2, y=0.22)
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")

    return figure(draw)


def pareto(points: Sequence[tuple[float, float]]) -> set[tuple[float, float]]:
    """The (cost, accuracy) points that no other betters in one without losing in the other."""
    return {
        (x, y)
        for x, y in points
        if not any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)
    }


def _cost(subject: Subject, what: str) -> float | None:
    return subject.mean if what == "cycles" else subject.flash


def layer_bars(subjects: Sequence[Subject]) -> str:
    """Mean cycles of each layer, stacked, a bar for each model."""
    ran = [one for one in subjects if one.layer_cycles]
    layers = dict.fromkeys(layer for one in ran for layer in one.layer_cycles or {})

    def draw(_: Any, axes: Any) -> None:
        left = np.zeros(len(ran))
        for number, layer in enumerate(layers):
            widths = np.array([(one.layer_cycles or {}).get(layer, 0) for one in ran])
            color = _PALETTE[number % len(_PALETTE)]
            axes.barh([one.model.name for one in ran], widths, left=left, label=layer, color=color)
            left += widths
        axes.invert_yaxis()
        axes.set(xlabel="cycles per inference, mean")
        axes.locator_params(axis="x", nbins=5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.legend(ncols=5, frameon=False, loc="upper center", bbox_to_anchor=(0.4, -0.3))

    return figure(draw, (6.0, 1.6 + 0.5 * len(ran)))


def latency_histogram(subjects: Sequence[Subject]) -> str:
    """How the latencies of inferences are spread."""
    ran = [one for one in subjects if one.cycles is not None]

    def draw(_: Any, axes: Any) -> None:
        for number, one in enumerate(ran):
            assert one.cycles is not None
            times = one.cycles * 1e3 / one.target.clock_hz
            spread = max(1, len(np.unique(times)))
            color = _PALETTE[number % len(_PALETTE)]
            weights = np.full(len(times), 100 / len(times))
            axes.hist(
                times,
                bins=min(30, spread),
                weights=weights,
                alpha=0.7,
                color=color,
                label=one.model.name,
            )
        axes.set(xlabel="latency, ms", ylabel="inferences, %")
        axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))

    return figure(draw)


def memory_map(subject: Subject) -> str:
    """Where the bytes of flash and SRAM go, beside what the target has."""
    program, target = subject.program, subject.target
    assert program is not None

    flash: dict[str, int] = {}
    for part in program.image.parts:
        name = f"{part.layer or 'shared'} {_WHAT[part.kind]}"
        flash[name] = flash.get(name, 0) + part.size
    memories = (
        ("flash", flash, target.code.size),
        ("SRAM", _arena_rows(subject), target.data.size),
    )

    lines = [-(-len(pieces) // _LEGEND_COLUMNS) for _, pieces, _ in memories]
    tops = [0.0, _BAR_ROOM + _LINE_ROOM * lines[0]]
    bottom = tops[1] + _BAR_ROOM + _LINE_ROOM * lines[1]

    def draw(_: Any, axes: Any) -> None:
        for top, (title, pieces, size) in zip(tops, memories, strict=True):
            used = sum(pieces.values())
            share = f"{title}: {used:,} of {size:,} bytes, {used / size:.0%}"
            axes.text(0, top + 0.3, share, va="bottom")
            _bar(axes, top + 0.6, pieces)
        axes.set(yticks=[], xticks=[], ylim=(bottom, 0), xlim=(0, 100))
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)

    return figure(draw, (6.0, bottom))


def _bar(axes: Any, row: float, pieces: Mapping[str, int]) -> None:
    """Pieces as shares of a bar, and below it a legend of all of them, with their bytes."""
    from matplotlib.legend import Legend  # noqa: PLC0415 - as above

    used, at, swatches = sum(pieces.values()), 0.0, []
    for number, count in enumerate(pieces.values()):
        width, color = 100 * count / used, _PALETTE[number % len(_PALETTE)]
        swatches.append(axes.barh([row], [width], left=[at], color=color, height=0.5))
        at += width
    names = [f"{name} {count:,}" for name, count in pieces.items()]
    legend = Legend(
        axes,
        swatches,
        names,
        loc="upper left",
        bbox_to_anchor=(0, row + 0.26),
        bbox_transform=axes.transData,
        ncols=_LEGEND_COLUMNS,
        borderaxespad=0,
        frameon=False,
        fontsize=9,
        handlelength=1,
    )
    axes.add_artist(legend)


def _arena_rows(subject: Subject) -> dict[str, int]:
    """The arena's bytes by what lies there first, what overlays it left out, and the stack."""
    program = subject.program
    assert program is not None
    symbols = {tensor_symbol(tensor): name for name, tensor in program.lowered.tensors.items()}
    edges = sorted(program.arena.offsets.items(), key=lambda item: item[1])
    rows: dict[str, int] = {}
    ends = [offset for _, offset in edges[1:]] + [program.arena.size]
    for (symbol, offset), end in zip(edges, ends, strict=True):
        if end > offset:
            rows[symbols.get(symbol, symbol)] = end - offset
    return rows | {"stack": subject.sram - program.arena.size}
