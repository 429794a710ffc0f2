"""Profiles for other programs: callgrind's format (KCachegrind), speedscope's, folded stacks.

In all of them a cycle is the symbol's whose code took it, below its layer, below the program; the
sums are the run's cycles. A new kind is one record here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from harness.hot_blocks import InstructionCost
from harness.profile import ProfiledRun

SPEEDSCOPE_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A kind of file; `help` says what reads it."""

    help: str
    write: Callable[[Path, ProfiledRun, Sequence[InstructionCost]], None]


def write_callgrind(path: Path, result: ProfiledRun, costs: Sequence[InstructionCost]) -> None:
    """Cost lines by symbol, with calls from the program to layers and from layers to symbols.

    The source that the lines are of goes to a file beside, `<name>.s`.
    """
    source = path.with_name(f"{path.name}.s")
    source.write_text(result.program.source, encoding="utf-8")
    executed = sum(cost.count for cost in costs)
    lines = [
        "# callgrind format",
        "version: 1",
        "creator: truecycle",
        f"cmd: {_root(result)}",
        "positions: instr line",
        "events: Cycles Executed",
        f"summary: {result.cycles} {executed}",
        "",
        f"fl={source.name}",
    ]
    stacks = _by_stack(costs)
    layers = dict.fromkeys(layer for layer, _ in stacks)
    lines.append(f"fn={_root(result)}")
    for layer in layers:
        inside = [cost for cost in costs if cost.layer == layer]
        lines += _call(layer, inside, inside[0])
    for layer in layers:
        lines += ["", f"fn={layer}", *map(_cost, stacks.get((layer, layer), ()))]
        own = next(cost for cost in costs if cost.layer == layer)
        for (owner, symbol), inside in stacks.items():
            if owner == layer != symbol:
                lines += _call(symbol, inside, own)
    for (layer, symbol), inside in stacks.items():
        if symbol != layer:
            lines += ["", f"fn={symbol}", *map(_cost, inside)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _call(callee: str, inside: Sequence[InstructionCost], caller: InstructionCost) -> list[str]:
    """A call with all that it costs."""
    cycles, executed = sum(c.cycles for c in inside), sum(c.count for c in inside)
    return [
        f"cfn={callee}",
        f"calls={inside[0].count} {_place(inside[0])}",
        f"{_place(caller)} {cycles} {executed}",
    ]


def _cost(cost: InstructionCost) -> str:
    return f"{_place(cost)} {cost.cycles} {cost.count}"


def _place(cost: InstructionCost) -> str:
    return f"{cost.address:#x} {cost.line.number}"


def write_speedscope(path: Path, result: ProfiledRun, costs: Sequence[InstructionCost]) -> None:
    """A sampled profile whose weights are cycles, in the order of the addresses."""
    stacks = {stack: sum(c.cycles for c in inside) for stack, inside in _by_stack(costs).items()}
    names = dict.fromkeys(name for stack in stacks for name in _frames(result, stack))
    numbers = {name: number for number, name in enumerate(names)}
    document = {
        "$schema": SPEEDSCOPE_SCHEMA,
        "exporter": "truecycle",
        "name": _root(result),
        "shared": {"frames": [{"name": name} for name in names]},
        "profiles": [
            {
                "type": "sampled",
                "name": "cycles",
                "unit": "none",
                "startValue": 0,
                "endValue": result.cycles,
                "samples": [[numbers[n] for n in _frames(result, stack)] for stack in stacks],
                "weights": list(stacks.values()),
            }
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write_folded(path: Path, result: ProfiledRun, costs: Sequence[InstructionCost]) -> None:
    """A line for each symbol: program, layer and symbol, and the cycles."""
    lines = [
        f"{';'.join(_frames(result, stack))} {sum(cost.cycles for cost in inside)}\n"
        for stack, inside in _by_stack(costs).items()
    ]
    path.write_text("".join(lines), encoding="utf-8")


def _by_stack(costs: Sequence[InstructionCost]) -> dict[tuple[str, str], list[InstructionCost]]:
    """Instructions by layer and symbol."""
    found: defaultdict[tuple[str, str], list[InstructionCost]] = defaultdict(list)
    for stack, group in groupby(costs, key=lambda cost: (cost.layer, cost.symbol)):
        found[stack] += group
    return found


def _frames(result: ProfiledRun, stack: tuple[str, str]) -> list[str]:
    layer, symbol = stack
    return [_root(result), layer] + ([symbol] if symbol != layer else [])


def _root(result: ProfiledRun) -> str:
    return f"{result.program.graph.name} on {result.program.target.name}"


PROFILE_FILES = {
    "callgrind": ProfileFile("Write for KCachegrind or callgrind_annotate.", write_callgrind),
    "speedscope": ProfileFile("Write for speedscope, as JSON.", write_speedscope),
    "folded": ProfileFile("Write folded stacks, for flame graphs.", write_folded),
}
