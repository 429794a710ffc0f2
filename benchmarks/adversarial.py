"""Inputs within a graph's promised bounds that strain a program: heaped, at their bounds, tied."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels import reference
from kernels.ir import Bounds, Graph, Range
from models import Model


def adversarial(model: Model, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Inputs, int64 (count, *shape): a quarter each of four kinds.

    All that the bound of the sum allows in one element; the same spread over few elements; over
    many; and inputs of the model changed until the two largest outputs come closest to a tie.
    """
    rng = np.random.default_rng(seed)
    graph = model.graph
    shape, bounds = graph.input.shape, graph.input.range
    size = graph.input.count
    heaped = [_spend(bounds, np.eye(size)[rng.integers(size)]) for _ in range(count // 4)]
    few = [_spend(bounds, rng.dirichlet(np.full(size, 0.01))) for _ in range(count // 4)]
    many = [_spend(bounds, rng.dirichlet(np.full(size, 1.0))) for _ in range(count // 4)]
    fill = count - len(heaped) - len(few) - len(many)
    rows = np.array([*heaped, *few, *many]).reshape(-1, *shape)
    return np.concatenate([rows, _nearly_tied(graph, model, fill, rng)])


def _spend(bounds: Range, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """An input whose elements take their share of all that may be had, int64 (size,)."""
    lows, highs = bounds.elements(len(shares))
    total = bounds.total.high if isinstance(bounds, Bounds) and bounds.total else int(highs.sum())
    rest = total - int(lows.sum())
    wanted = np.floor(shares * rest).astype(np.int64)
    wanted[np.argmax(shares)] += rest - int(wanted.sum())
    return lows + np.minimum(wanted, highs - lows)


def _nearly_tied(
    graph: Graph, model: Model, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The model's inputs whose two largest outputs are nearest to each other."""
    pool = model.inputs[rng.permutation(len(model.inputs))[: 20 * count]].astype(np.int64)
    values = reference.run(graph, pool)[graph.outputs[0]].reshape(len(pool), -1)
    ordered = np.sort(values, axis=1)
    gaps = ordered[:, -1] - ordered[:, -2]
    return pool[np.argsort(gaps, kind="stable")[:count]]
