"""A search for inputs that take many cycles: hill climbing within the graph's promised bounds.

From the slowest input known, a few elements are changed at a time, and what is not faster is kept.
It finds bad inputs, not the worst; the bound of `harness.worst_case` is what no input exceeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.run import Run, Runner
from kernels.bounds import Bounds, Range


@dataclass(frozen=True, eq=False, slots=True)
class Worst:
    """The slowest input found, int64 of the input's shape, and its run."""

    x: NDArray[np.int64]
    run: Run


def search_worst(runner: Runner, inputs: NDArray[Any], *, steps: int, seed: int = 0) -> Worst:
    """Climb from the slowest of some inputs, integers (n, *input shape), for so many steps."""
    rng = np.random.default_rng(seed)
    bounds = runner.program.graph.input.range
    runs = [runner.infer(x) for x in inputs]
    slowest = max(range(len(runs)), key=lambda n: runs[n].cycles)
    best = Worst(inputs[slowest].astype(np.int64), runs[slowest])
    for _ in range(steps):
        x = mutate(best.x, bounds, rng)
        run = runner.infer(x)
        if run.cycles >= best.run.cycles:
            best = Worst(x, run)
    return best


def mutate(x: NDArray[np.int64], bounds: Range, rng: np.random.Generator) -> NDArray[np.int64]:
    """Another input within the bounds: elements at an end, of any value, or exchanged."""
    lows, highs = bounds.elements(x.size)
    changed = x.reshape(-1).copy()
    some = rng.integers(x.size, size=1 + int(rng.geometric(0.3)))
    match rng.integers(4):
        case 0:
            changed[some] = lows[some]
        case 1:
            changed[some] = highs[some]
        case 2:
            changed[some] = rng.integers(lows[some], highs[some], endpoint=True)
        case _:
            changed[some] = np.clip(rng.permutation(changed[some]), lows[some], highs[some])
    if isinstance(bounds, Bounds) and bounds.total is not None:
        _settle(changed, bounds.total, (lows, highs), rng)
    return changed.reshape(x.shape)


def _settle(
    x: NDArray[np.int64],
    total: Range,
    ends: tuple[NDArray[np.int64], NDArray[np.int64]],
    rng: np.random.Generator,
) -> None:
    """Move elements, in any order, until their sum is within its bounds."""
    over = max(int(x.sum()) - total.high, 0)
    under = max(total.low - int(x.sum()), 0)
    for at in rng.permutation(x.size):
        down = min(over, int(x[at] - ends[0][at]))
        up = min(under, int(ends[1][at] - x[at]))
        x[at] += up - down
        over, under = over - down, under - up
        if not over and not under:
            return
