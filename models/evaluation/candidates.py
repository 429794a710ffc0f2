"""Whatever gives logits can be judged: a float network, an integer graph, a linear model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import reference
from kernels.ir import Graph
from models.model import BATCH

Logits = Callable[[NDArray[np.uint8]], NDArray[Any]]
"""Inputs, uint8 (n, features), to logits, floats or integers (n, classes)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A predictor to judge; it predicts the first of its largest logits.

    scale: what a step of its logits is worth, for the perplexity only. None has it fitted, on the
    training examples and never on validation.
    """

    name: str
    logits: Logits
    scale: float | None = 1.0


def graph_candidate(name: str, graph: Graph) -> Candidate:
    """An integer graph, whose first output is its logits.

    Their scale is the one stored in the graph; where that is 1, the default, none was stored, and
    it is fitted.
    """
    output = graph.outputs[0]
    stored = graph.tensors[output].scale

    def logits(inputs: NDArray[np.uint8]) -> NDArray[Any]:
        parts = [
            reference.run(graph, inputs[start : start + BATCH])[output]
            for start in range(0, len(inputs), BATCH)
        ]
        return np.concatenate(parts).reshape(len(inputs), -1)

    return Candidate(name, logits, None if stored == 1 else stored)
