"""Costs with the cycles that no input exceeds, proven once and remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from harness.cache import Cache
from harness.costs import Cost, Workload
from harness.fingerprint import fingerprint
from harness.worst_case import program_bound
from kernels.choice import Choice
from kernels.compile import draft_graph
from kernels.target import Target


def with_bound(
    cost: Cost, work: Workload, choices: Mapping[str, Choice], target: Target, cache: Cache
) -> Cost:
    """The cost of a workload with its bound, infinite where none is known."""
    key = fingerprint("bound", work.key, target, sorted(choices.items()))

    def make() -> int | None:
        return program_bound(draft_graph(work.ordered(choices), target, choices))

    return replace(cost, bound=cache.get(key, make, _read))


def _read(value: int | None) -> float:
    return inf if value is None else float(value)
