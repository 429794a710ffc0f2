"""What a search is about: a graph on a target, within limits; what is known before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.bounded import with_bound
from harness.cache import Cache
from harness.candidates import Candidates, weighted_layers
from harness.combine import Candidate, Objective, Plan
from harness.costs import (
    Cost,
    Refused,
    Size,
    Workload,
    layer_size,
    layer_workload,
    program_size,
)
from harness.limits import Limits
from harness.progress import Progress, silent
from kernels import reference
from kernels.choice import Choice
from kernels.compile import decide, lower
from kernels.errors import Unsupported
from kernels.ir import Graph, verify
from kernels.plan import Plan as Decided
from kernels.target import Target

CALIBRATION = 24  # inputs that are run
PROFILED = 1024  # inputs whose activations tell which columns are hot
SLACK = 1024  # bytes by which a layer may be smaller in a network than alone


def spread(inputs: NDArray[Any], count: int) -> NDArray[Any]:
    """`count` of the inputs, evenly spread, the first and the last among them; all if fewer."""
    if len(inputs) <= count:
        return inputs
    return inputs[np.linspace(0, len(inputs) - 1, count).round().astype(np.int64)]


@dataclass(frozen=True, eq=False)
class Problem:
    """What is searched, and what for. given: choices that are fixed."""

    graph: Graph
    target: Target
    inputs: NDArray[Any]
    limits: Limits
    given: Mapping[str, Choice]
    objective: Objective = Objective.MEAN
    cache: Cache = field(default_factory=Cache)
    progress: Progress = silent

    @cached_property
    def lowered(self) -> Graph:
        """What choices are about."""
        verify(self.graph)
        return lower(self.graph)

    @cached_property
    def rank(self) -> Plan:
        """Each layer's first choice in rank."""
        return dict(self._decided.choices)

    @cached_property
    def by_rank(self) -> Size:
        """What that plan takes; Unsupported where it cannot be had."""
        size = program_size(self.work, self.rank, self.target, self.cache)
        if isinstance(size, Refused):
            raise Unsupported(size.problem)
        return size

    @property
    def fits_by_rank(self) -> bool:
        """Whether that plan fits."""
        return self.limits.excess(self.by_rank.needed) <= 0

    @cached_property
    def work(self) -> Workload:
        """The whole graph on the calibration inputs."""
        return Workload(self.graph, spread(self.inputs, CALIBRATION))

    @cached_property
    def layers(self) -> list[tuple[str, Workload, list[Choice]]]:
        """Of each layer with weights: it alone on the calibration inputs, and its candidates."""
        ranges = self._decided.ranges
        profiled = reference.run(self.lowered, spread(self.inputs, PROFILED))
        finder = Candidates(self.target, ranges, profiled)
        values = reference.run(self.lowered, self.work.inputs)
        found = []
        for layer in weighted_layers(self.lowered):
            work = layer_workload(self.lowered, layer, ranges[layer.input.name], values)
            fixed = [self.given[layer.name]] if layer.name in self.given else None
            found.append((layer.name, work, fixed or finder.of(layer)))
        return found

    @cached_property
    def sizes(self) -> list[Candidate]:
        """Sizes of all candidates without hot columns; none are needed where there is room."""
        if self.fits_by_rank:
            return []
        plain = [
            (layer, work, choice)
            for layer, work, choices in self.layers
            for choice in choices
            if choice == Choice(choice.encoding) or layer in self.given
        ]
        found = []
        for number, (layer, work, choice) in enumerate(plain):
            self.progress("sizes", number, len(plain))
            size = layer_size(work, choice, self.target, self.cache)
            found.append(Candidate(layer, choice, size))
        return found

    def hopeless(self, one: Candidate) -> bool:
        """Whether a candidate is too large for any plan, with the smallest of all other layers."""
        if not isinstance(one.cost, Size):
            return False
        others = sum(size for layer, size in self._least.items() if layer != one.layer)
        return one.cost.flash + others > self._most

    @property
    def without_hope(self) -> bool:
        """Whether the smallest of all layers are too large."""
        return sum(self._least.values()) > self._most

    @property
    def _most(self) -> int:
        """Bytes that layers may take alone, at most."""
        return self.limits.bytes[0] - self.by_rank.rest + SLACK * len(self.rank)

    @cached_property
    def _least(self) -> dict[str, int]:
        """Bytes of the smallest candidate of each layer, where sizes are known."""
        least: dict[str, int] = {}
        for one in self.sizes:
            if isinstance(one.cost, Size):
                least[one.layer] = min(one.cost.flash, least.get(one.layer, one.cost.flash))
        return least

    def bounded(self, cost: Cost | Refused, work: Workload, plan: Plan) -> Cost | Refused:
        """A cost with its bound, if that is what is to be small."""
        if isinstance(cost, Refused) or self.objective is not Objective.BOUND:
            return cost
        return with_bound(cost, work, plan, self.target, self.cache)

    @cached_property
    def _decided(self) -> Decided:
        return decide(self.lowered, self.target, self.given)
