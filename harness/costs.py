"""What a layer, or a whole program, costs on a target: compiled and run, or remembered.

A layer is compiled alone, with the bounds proven for its input, and run on the activations that
calibration inputs give there. Every output is compared with the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harness.cache import Cache
from harness.errors import HarnessError
from harness.fingerprint import fingerprint, sources
from harness.run import DEFAULT_LIMIT, Runner
from harness.stand_in import stand_in
from kernels import reference
from kernels.choice import Choice
from kernels.compile import draft_graph, link_draft
from kernels.draft import Draft
from kernels.errors import DoesNotFit, Unsupported
from kernels.ir import Graph, Node, Range
from kernels.ops.matrix_product import MatrixProduct
from kernels.passes.dead_units import WritesUnits
from kernels.passes.unit_order import hides_units, unit_order
from kernels.target import Target

ENOUGH_CYCLES = 20_000_000  # in all; after that, no more inputs are run


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes, known before anything runs. flash: of the layer alone, or of the whole image.

    Of a layer alone, what alignment skips is not counted, since others' constants may fill it.
    shared: of constants that other layers may use as well, by symbol. needed: of each memory of the
    target, by the whole image. rest: what is no layer's with weights, and not shared, of the first
    memory. layers: of each layer with weights, without alignment, by name.
    """

    flash: int
    shared: Mapping[str, int]
    needed: tuple[int, ...]
    rest: int
    layers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cost(Size):
    """Bytes and cycles. sram: arena and measured stack peak. cycles: of each input that was run.

    bound: what no input exceeds, infinite where that was not asked for, or is not known.
    """

    sram: int
    cycles: tuple[int, ...]
    bound: float = inf

    @property
    def mean(self) -> float:
        """Mean cycles."""
        return float(np.mean(self.cycles))

    @property
    def p95(self) -> float:
        """The smallest count that 95 % of the inputs do not exceed."""
        return float(np.percentile(self.cycles, 95, method="inverted_cdf"))

    @property
    def max(self) -> float:
        """The most cycles seen."""
        return float(max(self.cycles))


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something cannot be had."""

    problem: str


@dataclass(frozen=True, eq=False)
class Workload:
    """A graph, and calibration inputs for it, integers (n, *input shape).

    any_order: whether it is one layer whose units may lie in any order, where it was taken from.
    """

    graph: Graph
    inputs: NDArray[Any]
    any_order: bool = False

    @cached_property
    def key(self) -> str:
        """What all its costs depend on, the code that is measured included."""
        return fingerprint(sources(), self.graph, self.inputs, self.any_order)

    def ordered(self, choices: Mapping[str, Choice]) -> Graph:
        """The graph, with units in the order that suits the choice where any will do."""
        if not self.any_order:
            return self.graph
        (layer,) = self.graph.nodes
        assert isinstance(layer, WritesUnits)
        order = unit_order(layer, choices[layer.name])
        if order is None:
            return self.graph
        return replace(self.graph, nodes=(layer.with_units(order, layer.output),))


def layer_workload(
    lowered: Graph, layer: MatrixProduct, x: Range, values: reference.Values
) -> Workload:
    """One layer alone. x: proven bounds of its input. values: of every tensor, by the reference."""
    source = replace(layer.input, bounds=x)
    node = cast("Node", replace(layer, input=source))
    graph = Graph(lowered.name, source, (node,), (layer.output.name,))
    return Workload(graph, values[layer.input.name], hides_units(lowered, layer.name))


def layer_cost(work: Workload, choice: Choice, target: Target, cache: Cache) -> Cost | Refused:
    """What the layer of a workload costs with a choice; or why it cannot be had.

    Where the target's SRAM does not suffice for it alone, its cycles are another device's.
    """
    (layer,) = work.graph.nodes
    return _cost(work, {layer.name: choice}, target, cache, layer.name)


def layer_size(work: Workload, choice: Choice, target: Target, cache: Cache) -> Size | Refused:
    """The bytes of the same, whether or not they fit the target; nothing is linked or run."""
    (layer,) = work.graph.nodes
    return _size(work, {layer.name: choice}, target, cache, layer.name)


def program_cost(
    work: Workload, choices: Mapping[str, Choice], target: Target, cache: Cache
) -> Cost | Refused:
    """What a whole graph costs with choices by layer; or why it cannot be had."""
    return _cost(work, choices, target, cache, None)


def program_size(
    work: Workload, choices: Mapping[str, Choice], target: Target, cache: Cache
) -> Size | Refused:
    """The bytes of a whole graph with choices by layer, whether or not they fit the target."""
    return _size(work, choices, target, cache, None)


def _size(
    work: Workload, choices: Mapping[str, Choice], target: Target, cache: Cache, layer: str | None
) -> Size | Refused:
    key = fingerprint("size", work.key, target, sorted(choices.items()), layer or "")
    return cache.get(key, lambda: _drafted(work, choices, target, layer), _read_size)


def _cost(
    work: Workload, choices: Mapping[str, Choice], target: Target, cache: Cache, layer: str | None
) -> Cost | Refused:
    key = fingerprint(work.key, target, sorted(choices.items()), layer or "")
    return cache.get(key, lambda: _measure(work, choices, target, layer), _read)


def _measure(
    work: Workload, choices: Mapping[str, Choice], target: Target, layer: str | None
) -> Any:
    """A cost, or a refusal, as JSON."""
    try:
        draft = draft_graph(work.ordered(choices), target, choices)
        program = link_draft(_roomy(draft) if layer else draft)
    except (DoesNotFit, Unsupported) as error:
        return {"problem": str(error)}
    runner = Runner(program, limit=DEFAULT_LIMIT)
    want = reference.run(draft.graph, work.inputs)
    cycles, peak = [], 0
    for sample, x in enumerate(work.inputs):
        run = runner.infer(x)
        for name, got in run.outputs.items():
            if not np.array_equal(got, want[name][sample]):
                raise HarnessError(f"{work.graph.name} on {target.name}: {name} is not exact")
        cycles.append(run.layer_cycles[layer] if layer else run.cycles)
        peak = max(peak, run.stack_peak)
        if sum(cycles) > ENOUGH_CYCLES:
            break
    return {**_bytes(draft, layer), "sram": program.arena.size + peak, "cycles": cycles}


def _roomy(draft: Draft) -> Draft:
    """The same where there is room: elsewhere, if nothing but SRAM is missing."""
    code, *data = (budget.excess for budget in draft.budgets)
    host = stand_in(draft.target) if code <= 0 < max(data, default=0) else None
    return draft_graph(draft.graph, host, draft.plan.choices) if host else draft


def _drafted(
    work: Workload, choices: Mapping[str, Choice], target: Target, layer: str | None
) -> Any:
    """A size, or a refusal, as JSON."""
    try:
        return _bytes(draft_graph(work.ordered(choices), target, choices), layer)
    except Unsupported as error:
        return {"problem": str(error)}


def _bytes(draft: Draft, layer: str | None) -> dict[str, Any]:
    needed = [budget.needed for budget in draft.budgets]
    layers = sum(draft.size_of(name) for name in draft.plan.choices)
    shared = sum(part.size for part in draft.parts if part.name in draft.shared)
    return {
        "flash": draft.text_of(layer) if layer else draft.flash,
        "shared": draft.shared,
        "needed": needed,
        "rest": needed[0] - layers - shared,
        "layers": {name: draft.text_of(name) for name in draft.plan.choices},
    }


def _read(value: Any) -> Cost | Refused:
    size = _read_size(value)
    if isinstance(size, Refused):
        return size
    cycles = tuple(int(count) for count in value["cycles"])
    if not cycles or min(cycles) < 1:
        raise ValueError("no cycles")
    sram = int(value["sram"])
    return Cost(size.flash, size.shared, size.needed, size.rest, size.layers, sram, cycles)


def _read_size(value: Any) -> Size | Refused:
    if "problem" in value:
        return Refused(str(value["problem"]))
    shared = {str(symbol): int(size) for symbol, size in value["shared"].items()}
    needed = tuple(int(size) for size in value["needed"])
    layers = {str(name): int(size) for name, size in value["layers"].items()}
    return Size(int(value["flash"]), shared, needed, int(value["rest"]), layers)
