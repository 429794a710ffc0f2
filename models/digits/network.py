"""The float network and its training, in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.digits.data import PIXEL_RANGE
from models.digits.recipe import SIZES, Parameters, Recipe
from models.training import Progress, TrainingStep

_CENTRE = 4


def build(parameters: Parameters | None = None) -> nn.Sequential:
    """The network; its input is pixels / 16, float32 (batch, 64), its output logits (batch, 10)."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(SIZES):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    if parameters is not None:
        for layer, (weight, bias) in zip(_linears(network), parameters, strict=True):
            layer.weight.data = torch.tensor(weight)
            layer.bias.data = torch.tensor(bias)
    return network.eval()


def parameters_of(network: nn.Sequential) -> Parameters:
    """Weights and biases of each layer as numpy arrays."""
    return tuple(
        (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())
        for layer in _linears(network)
    )


def activations(network: nn.Sequential, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """What each linear layer, ReLU included, gives for images (n, 64); the logits last."""
    values = scaled(images)
    found = []
    with torch.no_grad():
        for layer in network:
            values = layer(values)
            if isinstance(layer, nn.ReLU):
                found.append(values.numpy())
    return [*found, values.numpy()]


def float_accuracy(
    network: nn.Sequential, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> float:
    """The share of images whose largest logit is the label's."""
    return float(np.mean(activations(network, images)[-1].argmax(axis=1) == labels))


def train_network(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    recipe: Recipe,
    seed: int,
    progress: Progress,
) -> nn.Sequential:
    """Train on one thread; all randomness comes from `seed`, and torch's own state is kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the order of additions, hence every bit, depends on it
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _fit(build(), scaled(images), torch.tensor(labels), recipe, progress)
    finally:
        torch.set_num_threads(threads)


def scaled(images: NDArray[np.uint8]) -> Tensor:
    """Pixels as the network takes them, float32 (n, 64) in [0, 1]."""
    return torch.tensor(images, dtype=torch.float32) / PIXEL_RANGE.high


def _fit(
    network: nn.Sequential, images: Tensor, labels: Tensor, recipe: Recipe, progress: Progress
) -> nn.Sequential:
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    steps = recipe.epochs * -(-len(images) // recipe.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for epoch in range(recipe.epochs):
        total = 0.0
        order = torch.randperm(len(images))
        for start in range(0, len(images), recipe.batch):
            batch = order[start : start + recipe.batch]
            logits = network(_shifted(images[batch], recipe.shifted_share))
            loss = functional.cross_entropy(logits, labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item() * len(batch)
        progress(TrainingStep(epoch + 1, recipe.epochs, total / len(images)))
    return network.eval()


def _shifted(images: Tensor, share: float) -> Tensor:
    """The batch (n, 64), that share of it moved by up to one pixel in x and y."""
    padded = functional.pad(images.view(-1, 8, 8), (1, 1, 1, 1))
    moved = torch.stack([padded[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)], 1)
    which = torch.randint(0, 9, (len(images),))
    which = torch.where(torch.rand(len(images)) < share, which, _CENTRE)
    return moved[torch.arange(len(images)), which].reshape(len(images), -1)


def _linears(network: nn.Sequential) -> Sequence[nn.Linear]:
    return [layer for layer in network if isinstance(layer, nn.Linear)]
