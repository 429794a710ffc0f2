"""The same network side by side: float, fake-quantized, integer reference, emulator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.emulate import Emulated
from harness.expected import Expected
from harness.explain import read_layers
from harness.run import Runner
from harness.table import Heading, Table
from kernels import reference
from kernels.image import Program
from models import Model, accuracy
from models.evaluation import log_softmax, perplexity

READ = 10
INTEGER, EMULATOR = "integer reference", "emulator"


@dataclass(frozen=True, slots=True)
class Stage:
    """One form of the network on the examples of the evaluation.

    perplexity: None where the logits' scale is not known. agreement: how often its first choice is
    that of the first stage. differences: by layer, the largest absolute difference from the stage
    before, in real units; the emulator's hidden layers are read for the first few examples only.
    """

    name: str
    accuracy: float
    perplexity: float | None
    agreement: float
    differences: Mapping[str, float]


def stages(wanted: Expected, program: Program, emulated: Emulated) -> list[Stage]:
    """Every form of a model; `emulated` is of the examples that are wanted."""
    model, labels = wanted.model, wanted.labels
    layers = weighted_layers(model)
    forms = {name: list(values) for name, values in wanted.stages.items()}
    forms[INTEGER] = wanted.real_values
    first = next(iter(forms.values()))[-1].argmax(axis=1)
    logits = model.graph.tensors[model.graph.outputs[0]]
    found: list[Stage] = []

    def add(name: str, values: NDArray[Any], differences: Mapping[str, float]) -> None:
        choices = values.argmax(axis=1)
        chance = perplexity(log_softmax(values), labels) if logits.scale != 1 else None
        right, agreement = accuracy(choices, labels), accuracy(choices, first)
        found.append(Stage(name, right, chance, agreement, differences))

    last: list[NDArray[Any]] | None = None
    for name, values in forms.items():
        add(name, values[-1], _differences(layers, values, last) if last else {})
        last = values
    emulator = emulated.outputs[logits.name].reshape(len(labels), -1) * logits.scale
    exact = forms[INTEGER][-1]
    differences = _read_differences(program, wanted.inputs[:READ], layers)
    add(EMULATOR, emulator, differences | {layers[-1]: float(np.abs(emulator - exact).max())})
    return found


def _differences(
    layers: list[str], values: list[NDArray[Any]], before: list[NDArray[Any]]
) -> dict[str, float]:
    pairs = zip(layers, values, before, strict=True)
    return {layer: float(np.abs(now - then).max()) for layer, now, then in pairs}


def weighted_layers(model: Model) -> list[str]:
    """Layers with weights, of which float networks know the outputs."""
    return [node.name for node in model.graph.nodes if node.macs]


def _read_differences(
    program: Program, inputs: NDArray[Any], layers: list[str]
) -> dict[str, float]:
    """Largest differences of what layers left in SRAM, for those that leave it readable."""
    runner = Runner(program)
    expected = reference.run(program.lowered, inputs)
    outputs = {node.name: node.output for node in program.lowered.nodes}
    found: dict[str, float] = {}
    for number, x in enumerate(inputs):
        for layer, values in read_layers(runner, x).items():
            if layer in layers:
                want = expected[outputs[layer].name][number].ravel()
                difference = float(np.abs(values - want).max()) * outputs[layer].scale
                found[layer] = max(found.get(layer, 0.0), difference)
    return found


def agreement_table(model: Model, target: str, count: int, found: list[Stage]) -> Table:
    """A row for each form; `count`: of how many examples they are."""
    layers = weighted_layers(model)
    titles = ("accuracy", "perplexity", "agrees", *(f"max |d| {layer}" for layer in layers))
    rows = []
    for stage in found:
        differences = [stage.differences.get(layer) for layer in layers]
        rows.append(
            (
                stage.name,
                f"{stage.accuracy:.2%}",
                "" if stage.perplexity is None else f"{stage.perplexity:.3f}",
                f"{stage.agreement:.2%}",
                *("" if one is None else f"{one:.4g}" for one in differences),
            )
        )
    part = f"the first {count:,} of " if count < len(model.evaluation.inputs) else ""
    title = f"{model.name} on {target}: {part}{model.evaluation.what}; |d| is from the row above"
    return Table(title, (Heading("network", left=True), *map(Heading, titles)), tuple(rows))
