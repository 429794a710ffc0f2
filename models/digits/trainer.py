"""From nothing to a checkpoint: train, calibrate, quantize, measure, write."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from torch import nn

from models.compress.journal import Journal
from models.digits import checkpoint, network
from models.digits.checkpoint import Accuracies, Checkpoint
from models.digits.data import PIXEL_RANGE, Split, split
from models.digits.fitting import train_network
from models.digits.graph import PIXELS_TENSOR, build_graph
from models.digits.recipe import Recipe
from models.model import accuracy, predict
from models.quantization import QuantizedLayer, quantize_layer
from models.training import Progress, TrainingReport

HIDDEN_LEVELS = 255
LOGIT_LEVELS = 1 << 14
"""Half of int16's range: an unseen image's logits may exceed those of calibration twofold."""


def train(
    seed: int, out: Path | None, progress: Progress, recipe: Recipe | None = None
) -> TrainingReport:
    """Train, and write the checkpoint to `out` or over the shipped one.

    After every epoch the state is written beside it, as `<name>.state`; where that file exists,
    the training goes on from there. Raises ModelError where it belongs to another training.
    """
    recipe, path = recipe or Recipe(), out or checkpoint.SHIPPED
    data = split()
    what = json.dumps([asdict(recipe), seed])
    journal = Journal.beside(path, what, data.train_images, data.train_labels)
    trained = train_network(data, recipe, seed, progress, journal)
    layers = quantize(trained, data)
    graph = build_graph("digits", layers)
    accuracies = Accuracies(
        float32=network.float_accuracy(trained, data.test_images, data.test_labels),
        int8=accuracy(predict(graph, data.test_images), data.test_labels),
        linear=_linear_baseline(data),
    )
    result = Checkpoint(seed, recipe, network.parameters_of(trained), layers, accuracies)
    checkpoint.save(result, path)
    journal.remove()
    return TrainingReport(
        path,
        {
            f"float PyTorch, {len(data.test_labels)} test images": accuracies.float32,
            "int8 graph, the same images": accuracies.int8,
            "logistic regression, the same images": accuracies.linear,
        },
    )


def quantize(trained: nn.Sequential, data: Split) -> tuple[QuantizedLayer, ...]:
    """Quantize every layer; outputs are scaled to their maxima over the training images."""
    peaks = [abs(values).max() for values in network.activations(trained, data.train_images)]
    layers: list[QuantizedLayer] = []
    scale = PIXELS_TENSOR.scale
    for number, (weight, bias) in enumerate(network.parameters_of(trained)):
        last = number == len(peaks) - 1
        levels = LOGIT_LEVELS if last else HIDDEN_LEVELS
        layers.append(quantize_layer(weight, bias, scale, float(peaks[number]), levels))
        scale = layers[-1].scale
    return tuple(layers)


def _linear_baseline(data: Split) -> float:
    regression = LogisticRegression(max_iter=5000)
    regression.fit(data.train_images / PIXEL_RANGE.high, data.train_labels)
    return float(regression.score(data.test_images / PIXEL_RANGE.high, data.test_labels))
