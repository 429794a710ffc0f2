"""Which ways there are to hold a layer's weights: encodings that serve it, and their variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import reference
from kernels.choice import Choice
from kernels.emit import kernels_for
from kernels.ir import Graph, Range
from kernels.ops.matrix_product import MatrixProduct
from kernels.passes.encoding import encoding_problems
from kernels.target import Target

STEPS = 16  # variants of a profile-guided encoding, besides none and all of the columns hot
RATE_DIGITS = 3  # how finely a choice says how often an input is not zero


def weighted_layers(graph: Graph) -> list[MatrixProduct]:
    """The layers that have a choice, in order."""
    return [node for node in graph.nodes if isinstance(node, MatrixProduct)]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Finds choices for a graph's layers. ranges: of every tensor, proven.

    values: of every tensor, over many inputs.
    """

    target: Target
    ranges: Mapping[str, Range]
    values: reference.Values

    def of(self, layer: MatrixProduct) -> list[Choice]:
        """Every choice that a kernel of the target's instruction set has."""
        problems = encoding_problems(layer, self.target, self.ranges[layer.input.name])
        names = [name for name, problem in problems.items() if problem is None]
        return [choice for name in names for choice in self._variants(layer, name)]

    def _variants(self, layer: MatrixProduct, name: str) -> Iterator[Choice]:
        """The plain choice; then, where the kernel makes use of that, with what inputs are like."""
        yield Choice(name)
        inputs = layer.matrix.shape[1]
        profile = kernels_for(self.target.isa, type(layer))[name].profile
        if inputs != layer.input.count or not profile:
            return
        active = (self.values[layer.input.name].reshape(-1, inputs) != 0).mean(axis=0)
        rates = tuple(active.round(RATE_DIGITS).tolist()) if "rates" in profile else ()
        if rates:
            yield Choice(name, rates=rates)
        if "hot" in profile:
            for hot in hot_sets(active, np.count_nonzero(layer.matrix, axis=0)):
                yield Choice(name, hot, rates)


def hot_sets(active: NDArray[Any], events: NDArray[Any]) -> list[tuple[int, ...]]:
    """Growing sets of inputs to make hot, the last of all. active: how often each is not zero.

    events: weights of each that are not zero.
    """
    order = hot_order(active, events)
    some = [tuple(sorted(order[:count].tolist())) for count in prefixes(active, events)]
    return [*some, tuple(range(len(active)))]


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
