"""From a recipe to a checkpoint: run the chain, settle the integers, measure, write."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.compress import checkpoint
from models.compress.checkpoint import Checkpoint
from models.compress.export import float_layers, layers_of, max_weight
from models.compress.journal import Journal
from models.compress.methods import PostTraining
from models.compress.network import Network
from models.compress.recipe import Recipe
from models.compress.session import Session, one_thread
from models.export import (
    IntegerLayer,
    LevelLayer,
    RealLayer,
    Settings,
    build_graph,
    fake_quantized,
    settle,
)
from models.model import accuracy, predict
from models.task import Examples, Task
from models.training import Progress, TrainingReport

Layers = Sequence[RealLayer | LevelLayer]


def train(recipe: Recipe, task: Task, seed: int, out: Path, progress: Progress) -> TrainingReport:
    """Train and write the checkpoint to `out`.

    After every epoch the state is written beside it, as `<out>.state`; where that file exists, the
    training goes on from there, to the same bytes. It is removed in the end. Raises ModelError
    where it belongs to another recipe, seed or data.
    """
    what, data = f"{recipe.as_json()} {seed}", task.train
    journal = Journal.beside(out, what, data.inputs, data.labels)
    session = Session(recipe, task, seed, journal, progress)
    network = session.run()
    settings = recipe.settings(max_weight(session.post_training or PostTraining()))
    with one_thread():
        exported = export(network, session.post_training, task, settings)
        real = float_layers(network)
        accuracies = measure(task, real, exported, settings)
    result = Checkpoint(
        seed, recipe.describe(), task.protocol, settings, real, exported.layers, accuracies
    )
    checkpoint.save(result, out)
    journal.remove()
    return TrainingReport(out, accuracies)


@dataclass(frozen=True, eq=False, slots=True)
class Exported:
    """Integer layers, and the fake-quantized network's logits on given inputs.

    fake_quantized: uint8 (n, in) to float64 (n, classes).
    """

    layers: tuple[IntegerLayer, ...]
    fake_quantized: Callable[[NDArray[np.uint8]], NDArray[np.float64]]


def export(
    network: Network, post_training: PostTraining | None, task: Task, settings: Settings
) -> Exported:
    """The integers of a trained network.

    One that was trained on its device's grid keeps that, and is itself the fake-quantized network;
    another is settled, calibrated on the training inputs.
    """
    real = layers_of(network, post_training)
    if network.on_grid:
        return Exported(network.integers(), partial(network_logits, network))
    layers = settle(real, task.train.inputs, settings)
    return Exported(layers, partial(fake_quantized, real, layers))


def network_logits(network: Network, inputs: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Logits of a network in evaluation mode, in double precision."""
    with torch.no_grad():
        precise = copy.deepcopy(network).double().eval()
        logits: NDArray[np.float64] = precise(torch.tensor(inputs, dtype=torch.float64)).numpy()
    return logits


def measure(task: Task, real: Layers, exported: Exported, settings: Settings) -> dict[str, float]:
    """Accuracies on the validation examples: float, fake-quantized and integer."""
    examples = task.validation
    graph = build_graph("measured", exported.layers, settings)
    fake = exported.fake_quantized(examples.inputs).argmax(axis=1)
    return {
        f"float PyTorch, {len(examples.labels):,} examples, {task.protocol}": float_accuracy(
            real, settings.input_scale, examples
        ),
        "fake-quantized, the same examples": accuracy(fake, examples.labels),
        "integer graph, the same examples": accuracy(
            predict(graph, examples.inputs), examples.labels
        ),
    }


def float_accuracy(layers: Layers, input_scale: float, examples: Examples) -> float:
    """The share of examples that a float perceptron with ReLU gets right, in PyTorch."""
    return accuracy(
        float_logits(layers, input_scale, examples.inputs).argmax(axis=1), examples.labels
    )


def float_logits(
    layers: Layers, input_scale: float, inputs: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Logits, float32 (n, classes), of a perceptron with ReLU, in PyTorch."""
    return float_activations(layers, input_scale, inputs)[-1]


def float_activations(
    layers: Layers, input_scale: float, inputs: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    """As `float_logits`, but what every layer gives, ReLU included."""
    found: list[NDArray[np.float32]] = []
    values = torch.tensor(inputs, dtype=torch.float32) * input_scale
    for number, layer in enumerate(layers, start=1):
        weight, bias = torch.tensor(layer.weights).float(), torch.tensor(layer.bias).float()
        values = torch.nn.functional.linear(values, weight, bias)
        if number < len(layers):
            values = torch.relu(values)
        found.append(values.numpy())
    return found
