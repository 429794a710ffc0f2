"""digits-int8: 8x8 digits, a perceptron 64-32-16-10 with int8 weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.digits import checkpoint
from models.digits.data import split
from models.digits.graph import build_graph
from models.model import FLOAT, Evaluation, Model, Reference, Stages
from models.registry import register, register_trainer
from models.training import Progress, TrainingReport

NAME = "digits-int8"
TITLE = "digits 8x8, MLP 64-32-16-10, int8 per channel"


@register(NAME, TITLE)
def load(_: Path) -> Model:
    """The shipped checkpoint; its inputs are the test images."""
    stored = checkpoint.load()
    data = split()
    what = f"{len(data.test_labels)} test images"

    def reference_accuracy() -> float:
        from models.digits import network  # noqa: PLC0415 - imports torch

        trained = network.build(stored.parameters)
        return network.float_accuracy(trained, data.test_images, data.test_labels)

    def stages(inputs: NDArray[np.uint8]) -> Stages:
        from models.digits import network  # noqa: PLC0415 - imports torch

        return {FLOAT: network.activations(network.build(stored.parameters), inputs)}

    return Model(
        name=NAME,
        title=TITLE,
        graph=build_graph("digits", stored.layers),
        inputs=data.test_images,
        labels=data.test_labels,
        evaluation=Evaluation(what, data.test_images, data.test_labels),
        reference=Reference(f"float PyTorch, {what}", reference_accuracy, stages),
        notes=(
            f"logistic regression on the same images: {stored.accuracies.linear:.1%}",
            f"trained with seed {stored.seed}, {stored.recipe.epochs} epochs",
        ),
    )


@register_trainer("digits")
def train(seed: int, out: Path | None, progress: Progress, _: Path) -> TrainingReport:
    """Train the perceptron and quantize it."""
    from models.digits import trainer  # noqa: PLC0415 - imports torch

    return trainer.train(seed, out, progress)
