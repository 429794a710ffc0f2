"""What the harness needs to know of a model, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kernels import reference
from kernels.ir import Graph
from models.chat.talk import Talk

BATCH = 1024


@dataclass(frozen=True, eq=False, slots=True)
class Evaluation:
    """A labelled set: inputs uint8 (n, *shape), labels int64 (n,). `what` goes beside a figure."""

    what: str
    inputs: NDArray[np.uint8]
    labels: NDArray[np.int64]


FLOAT, FAKE_QUANTIZED = "float PyTorch", "fake-quantized"
Stages = Mapping[str, Sequence[NDArray[Any]]]
"""By kind of network, real outputs of each layer with weights, (n, units), the logits last."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The float PyTorch network's accuracy on the same evaluation; `accuracy()` imports torch.

    stages: what the networks behind the integer graph, float first, give for inputs uint8
    (n, *shape), layer by layer, ReLU included; None where that is not known.
    """

    what: str
    accuracy: Callable[[], float]
    stages: Callable[[NDArray[np.uint8]], Stages] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Model:
    """A model that can be compiled, run and compared.

    graph: its outputs are the logits and, last, their Argmax: uint8 (1,), the predicted class.
    inputs: what benchmarks run, integers (n, *input shape).
    labels: the right class of each of `inputs`, int64 (n,); None where there is none.
    evaluation: the labelled set that accuracy is of; may be far larger than `inputs`.
    notes: lines for below the table, or what makes one when it is asked for; see `lines`.
    full_inputs: all of `inputs`, where some were left out. talk: how text becomes inputs, and
    classes a reply, of a network that can be talked with.
    """

    name: str
    title: str
    graph: Graph
    inputs: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    evaluation: Evaluation
    reference: Reference
    notes: tuple[str | Callable[[], str], ...] = ()
    full_inputs: NDArray[np.uint8] | None = None
    talk: Talk | None = None

    @property
    def calibration(self) -> NDArray[np.uint8]:
        """The inputs by which plans are chosen, however few are run."""
        return self.inputs if self.full_inputs is None else self.full_inputs

    @property
    def lines(self) -> list[str]:
        """The notes, as they are shown."""
        return [note if isinstance(note, str) else note() for note in self.notes]

    @classmethod
    def of(
        cls,
        graph: Graph,
        inputs: NDArray[np.uint8],
        labels: NDArray[np.int64],
        float_accuracy: float,
    ) -> Self:
        """A model that is made on the spot.

        inputs: uint8 (n, *input shape), all of which are run. labels: the right classes, int64
        (n,). float_accuracy: of the network that the graph was made of, on these, in [0, 1].
        """
        what = f"{len(labels):,} inputs"
        return cls(
            name=graph.name,
            title=graph.name,
            graph=graph,
            inputs=inputs,
            labels=labels,
            evaluation=Evaluation(what, inputs, labels),
            reference=Reference(f"float network, {what}", lambda: float_accuracy),
        )

    def shortened(self, count: int) -> Model:
        """The same model with only the first inputs to run, which then count for no accuracy."""
        return replace(self, inputs=self.inputs[:count], labels=None, full_inputs=self.calibration)

    def integer_accuracy(self) -> float:
        """The integer graph's accuracy on the evaluation, by the numpy reference."""
        return accuracy(predict(self.graph, self.evaluation.inputs), self.evaluation.labels)


def predict(graph: Graph, inputs: NDArray[Any]) -> NDArray[np.int64]:
    """The predicted class of each input, int64 (n,); inputs are integers (n, *shape)."""
    output = graph.outputs[-1]
    parts = [
        reference.run(graph, inputs[start : start + BATCH])[output].reshape(-1)
        for start in range(0, len(inputs), BATCH)
    ]
    return np.concatenate(parts)


def accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> float:
    """The share of predictions that are right; both are integers (n,)."""
    return float(np.mean(predictions == labels))
