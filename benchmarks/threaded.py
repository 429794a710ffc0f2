"""Choices of encodings for the Z80 whose columns know how often inputs are active."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels import reference
from kernels.choice import Choice
from kernels.compile import draft_graph, lower
from kernels.encodings import threaded_gaps
from kernels.ops.linear import Linear
from kernels.target import Target
from models import Model

_LONGEST = 32
Rates = dict[str, NDArray[np.float64]]


def rates_of(model: Model, calibration: NDArray[np.integer]) -> Rates:
    """How often each input of each layer is not zero on calibration inputs."""
    graph = lower(model.graph)
    values = reference.run(graph, calibration)
    layers = [node for node in graph.nodes if isinstance(node, Linear)]
    return {layer.name: (values[layer.input.name] != 0).mean(axis=0) for layer in layers}


def everywhere(rates: Rates, encoding: str) -> dict[str, Choice]:
    """One encoding for every layer."""
    return {name: Choice(encoding, (), tuple(r.tolist())) for name, r in rates.items()}


def within(model: Model, target: Target, rates: Rates, budget: int) -> dict[str, Choice]:
    """Threaded gaps with as many hot columns as an image of `budget` bytes has room for.

    The hottest are those that are met by most events for each byte that they take more as a list.
    """
    ranked = _ranked(model, rates)

    def choices(count: int) -> dict[str, Choice]:
        hot = ranked[:count]
        return {
            name: Choice(
                threaded_gaps.NAME,
                tuple(sorted(column for layer, column in hot if layer == name)),
                tuple(r.tolist()),
            )
            for name, r in rates.items()
        }

    low, high = 0, len(ranked)
    while low < high:
        middle = (low + high + 1) // 2
        parts = draft_graph(model.graph, target, choices(middle)).parts
        fits = sum(part.size for part in parts) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    return choices(low)


def _ranked(model: Model, rates: Rates) -> list[tuple[str, int]]:
    found = []
    for layer in (node for node in lower(model.graph).nodes if isinstance(node, Linear)):
        every = range(layer.input.count)
        lists, gaps = (threaded_gaps.encode(layer.weights, _LONGEST, hot) for hot in (every, ()))
        events = np.abs(layer.weights.astype(int)).sum(axis=0) * rates[layer.name]
        for column, (one, other) in enumerate(zip(lists, gaps, strict=True)):
            extra = threaded_gaps.size([one]) - threaded_gaps.size([other])
            if extra > 0:
                found.append((events[column] / extra, layer.name, column))
    return [(layer, column) for _, layer, column in sorted(found, reverse=True)]
