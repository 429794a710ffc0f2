"""Which ways there are to hold a layer's weights: encodings that serve it, and their variants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cache import Cache
from harness.fingerprint import fingerprint, sources
from kernels import reference
from kernels.choice import Choice
from kernels.compile import draft_graph
from kernels.draft import Draft
from kernels.errors import Unsupported
from kernels.ir import Graph
from kernels.ops.matrix_product import MatrixProduct
from kernels.passes.encoding import encoding_problems
from kernels.target import Target

STEPS = 16  # variants of a profile-guided encoding, besides none and all of the columns hot


def weighted_layers(graph: Graph) -> list[MatrixProduct]:
    """The layers that have a choice, in order."""
    return [node for node in graph.nodes if isinstance(node, MatrixProduct)]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Finds choices for the layers of a draft. values: of every tensor, over many inputs."""

    base: Draft
    values: reference.Values
    cache: Cache

    def of(self, layer: MatrixProduct, alone: Graph) -> list[Choice]:
        """Every choice that a kernel of the target's instruction set has.

        alone: a graph of the layer alone.
        """
        x = self.base.plan.ranges[layer.input.name]
        problems = encoding_problems(layer, self.base.target, x)
        names = [name for name, problem in problems.items() if problem is None]
        return [choice for name in names for choice in self._variants(layer, name, alone)]

    def _variants(self, layer: MatrixProduct, name: str, alone: Graph) -> Iterator[Choice]:
        """The plain choice, and growing sets of hot inputs where the encoding makes use of them."""
        yield Choice(name)
        inputs = layer.matrix.shape[1]
        if inputs != layer.input.count or not self._uses_hot(alone, name):
            return
        active = (self.values[layer.input.name].reshape(-1, inputs) != 0).mean(axis=0)
        events = np.count_nonzero(layer.matrix, axis=0)
        order = hot_order(active, events)
        for count in prefixes(active, events):
            yield Choice(name, tuple(sorted(order[:count].tolist())))
        yield Choice(name, tuple(range(inputs)))

    def _uses_hot(self, alone: Graph, name: str) -> bool:
        """Whether hot inputs change what is written for the only layer of a graph."""
        target = self.base.target
        key = fingerprint("uses hot", sources(), alone, name, target)
        return self.cache.get(key, lambda: _differs(alone, name, target), bool)


def hot_order(active: NDArray[Any], events: NDArray[Any]) -> NDArray[np.int64]:
    """Inputs, those first whose bytes save most; a column's bytes and its events grow alike."""
    return np.lexsort((-events, -active))


def prefixes(active: NDArray[Any], events: NDArray[Any], steps: int = STEPS) -> list[int]:
    """How many inputs to make hot: steps of about equal bytes, up to the last that is ever used."""
    order = hot_order(active, events)
    used = int(np.count_nonzero(active > 0))
    held = np.cumsum(events[order][:used])
    if not used or not held[-1]:
        return []
    ends = [int(np.searchsorted(held, held[-1] * n / steps)) + 1 for n in range(1, steps + 1)]
    return sorted({min(end, used) for end in ends} - {len(active)})


def _differs(alone: Graph, name: str, target: Target) -> bool:
    (layer,) = alone.nodes
    every = tuple(range(alone.input.count))
    choices = (Choice(name), Choice(name, every))
    try:
        cold, hot = (draft_graph(alone, target, {layer.name: choice}) for choice in choices)
    except Unsupported:
        return False
    return cold.flash != hot.flash
