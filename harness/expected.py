"""What a model's evaluation should give: computed once, however many programs are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import reference
from models import Model
from models.model import BATCH, Stages


@dataclass(frozen=True, eq=False)
class Expected:
    """The first examples of a model's evaluation. examples: how many; None for all."""

    model: Model
    examples: int | None = None

    def compute(self) -> None:
        """All that is slow, so that it need not be waited for later."""
        _ = self.real_values, self.stages

    @cached_property
    def inputs(self) -> NDArray[np.uint8]:
        """Those that are run, (n, *input shape)."""
        return self.model.evaluation.inputs[: self.examples]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The right class of each, (n,)."""
        return self.model.evaluation.labels[: self.examples]

    @cached_property
    def values(self) -> Mapping[str, NDArray[np.int64]]:
        """By the integer reference: outputs, and what layers with weights give; (n, *shape)."""
        graph = self.model.graph
        kept = {*graph.outputs, *(node.output.name for node in graph.nodes if node.macs)}
        found: dict[str, list[NDArray[np.int64]]] = {name: [] for name in kept}
        for start in range(0, len(self.inputs), BATCH):
            batch = reference.run(graph, self.inputs[start : start + BATCH])
            for name in kept:
                found[name].append(batch[name])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    @cached_property
    def stages(self) -> Stages:
        """By the networks behind the integers, as far as the model knows any; imports torch."""
        known = self.model.reference.stages
        return known(self.inputs) if known else {}

    @cached_property
    def real_values(self) -> list[NDArray[Any]]:
        """By the integer reference, layer by layer, in real units; (n, units)."""
        tensors = [node.output for node in self.model.graph.nodes if node.macs]
        return [
            (self.values[one.name].reshape(len(self.inputs), -1) - one.zero_point) * one.scale
            for one in tensors
        ]
