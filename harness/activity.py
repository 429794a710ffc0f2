"""Why inputs cost differently: each layer's cycles beside how many of its inputs are not zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.run import Runner
from kernels import reference
from kernels.ir import Node, Tensor
from kernels.ops.linear import Linear

BINS = 8


@dataclass(frozen=True, slots=True)
class Bin:
    """Inferences whose layer had from `low` to `high` active inputs. cycles: their mean."""

    low: int
    high: int
    inferences: int
    cycles: float


@dataclass(frozen=True, slots=True)
class Fit:
    """Cycles as base + each * amount; explained: the share of the cycles' variance."""

    base: float
    each: float
    explained: float


@dataclass(frozen=True, eq=False, slots=True)
class Activity:
    """A layer over many inferences, all arrays int64 (n,).

    elements: how many inputs the layer has; active: how many of them were not at zero. products:
    how many of these met a weight that is not zero; None where weights are no matrix.
    """

    layer: str
    elements: int
    active: NDArray[np.int64]
    products: NDArray[np.int64] | None
    cycles: NDArray[np.int64]

    @property
    def fixed(self) -> bool:
        """Whether the layer takes the same cycles whatever the input."""
        return bool((self.cycles == self.cycles[0]).all())

    def fit(self, amounts: NDArray[np.int64]) -> Fit | None:
        """The line through cycles over `amounts`; None where either does not vary."""
        if self.fixed or (amounts == amounts[0]).all():
            return None
        each, base = np.polyfit(amounts, self.cycles, 1)
        explained = float(np.corrcoef(amounts, self.cycles)[0, 1] ** 2)
        return Fit(float(base), float(each), explained)

    def bins(self, count: int = BINS) -> list[Bin]:
        """The histogram over activity, in at most so many bins of equal width."""
        low, high = int(self.active.min()), int(self.active.max())
        width = max(1, -(-(high - low + 1) // count))
        found = []
        for start in range(low, high + 1, width):
            inside = (self.active >= start) & (self.active < start + width)
            cycles = float(self.cycles[inside].mean()) if inside.any() else 0.0
            end = min(high, start + width - 1)
            found.append(Bin(start, end, int(inside.sum()), cycles))
        return found


def measure_activity(
    runner: Runner, inputs: NDArray[Any], progress: Callable[[int], None] | None = None
) -> list[Activity]:
    """Run inputs, integers (n, *input shape), and pair each layer's cycles with its activity."""
    graph = runner.program.graph
    values = reference.run(graph, inputs)
    counts: dict[str, list[int]] = {node.name: [] for node in graph.nodes}
    for number, x in enumerate(inputs, start=1):
        for layer, cycles in runner.infer(x).layer_cycles.items():
            counts[layer].append(cycles)
        if progress:
            progress(number)
    return [
        _activity(node, graph.inputs_of(node), values, np.array(counts[node.name], np.int64))
        for node in graph.nodes
    ]


def _activity(
    node: Node,
    tensors: tuple[Tensor, ...],
    values: reference.Values,
    cycles: NDArray[np.int64],
) -> Activity:
    at_zero = [
        values[tensor.name].reshape(len(cycles), -1) == tensor.zero_point for tensor in tensors
    ]
    active = ~np.concatenate(at_zero, axis=1)
    products = None
    if isinstance(node, Linear):
        products = active.astype(np.int64) @ np.count_nonzero(node.weights, axis=0)
    return Activity(node.name, active.shape[1], active.sum(axis=1), products, cycles)


def render_activity(activity: Activity) -> str:
    """A histogram as text, and what the fit says."""
    head = f"{activity.layer}: {activity.elements} inputs, {len(activity.cycles):,} inferences"
    if activity.fixed:
        return f"{head}: always {activity.cycles[0]:,} cycles\n"
    bins = activity.bins()
    most = max(one.inferences for one in bins)
    lines = [f"{head}", f"{'active':>11} {'inferences':>10} {'mean cycles':>12}"]
    for one in bins:
        bar = "#" * round(40 * one.inferences / most)
        mean = f"{one.cycles:,.1f}" if one.inferences else ""
        lines.append(f"{one.low:>5}-{one.high:<5} {one.inferences:>10,} {mean:>12} {bar}".rstrip())
    amounts = {"active input": activity.active, "product without zeros": activity.products}
    for what, amount in amounts.items():
        if amount is not None and (fit := activity.fit(amount)):
            lines.append(
                f"cycles = {fit.base:,.1f} + {fit.each:,.2f} for each {what}: "
                f"explains {fit.explained:.1%} of the variance"
            )
    return "\n".join(lines) + "\n"
