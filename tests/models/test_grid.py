"""Networks that are trained on their device's grid: what they compute is what the device does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kernels import reference
from models.compress import Schedule, checkpoint, trainer
from models.compress.export import layers_of
from models.compress.journal import Journal
from models.compress.methods import Distill, Method, QuantizeAware
from models.compress.network import Network
from models.compress.options import WeightFormat
from models.compress.quantizers import make
from models.compress.recipe import Recipe
from models.compress.session import Session
from models.export import Settings, build_graph, settle
from models.task import Examples, Task

SIZES = (12, 20, 15, 4)
SETTINGS = Settings(input_scale=0.5, input_high=30)
HOWS = [(weights, False, False) for weights in WeightFormat] + [
    (WeightFormat.TERNARY, True, True),
    (WeightFormat.BINARY, True, True),
    (WeightFormat.INT4, True, False),
    (WeightFormat.INT8, True, True),
]


def counts(seed: int, n: int = 300) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 8, (n, SIZES[0])).astype(np.uint8)


def settled(weights: WeightFormat, per_row: bool, norm: bool) -> Network:
    """A network with random weights that was settled, and then trained for another step."""
    torch.manual_seed(3)
    network = Network(SIZES, SETTINGS.input_scale)
    network.quantize(make(weights, per_row=per_row), norm=norm)
    inputs = torch.tensor(counts(0), dtype=torch.float32)
    network.train()(inputs)
    network.settle([layer.grid for layer in settle(layers_of(network), counts(0), SETTINGS)])
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    labels = torch.arange(len(inputs)) % SIZES[-1]
    torch.nn.functional.cross_entropy(network(inputs), labels).backward()  # type: ignore[no-untyped-call]
    for layer in network.stack:
        for parameter in (layer.weight, layer.bias):
            assert parameter.grad is not None
            assert torch.count_nonzero(parameter.grad)
    optimizer.step()
    return network.eval()


@pytest.mark.parametrize(("weights", "per_row", "norm"), HOWS)
def test_the_trained_network_is_the_integer_graph(
    weights: WeightFormat, per_row: bool, norm: bool
) -> None:
    network = settled(weights, per_row, norm)
    graph = build_graph("tiny", network.integers(), SETTINGS)
    found = reference.run(graph, counts(1))["logits"]
    assert len(np.unique(found)) > 50
    logits = trainer.network_logits(network, counts(1))
    np.testing.assert_allclose(
        logits / graph.tensors["logits"].scale, found.astype(np.float64), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("norm", [False, True])
def test_normalization_is_a_constant_of_the_grid(norm: bool) -> None:
    network = settled(WeightFormat.BINARY, True, norm)
    before = {name: value.clone() for name, value in network.state_dict().items() if "norm" in name}
    assert bool(before) == norm
    network.train()(torch.tensor(counts(5), dtype=torch.float32))
    for name, value in before.items():
        assert torch.equal(network.state_dict()[name], value)


def test_without_a_grid_it_is_as_before() -> None:
    network = settled(WeightFormat.TERNARY, False, False)
    inputs = torch.tensor(counts(2), dtype=torch.float32)
    on_grid = network(inputs)
    network.unsettle()
    assert not network.on_grid
    assert not torch.equal(network(inputs), on_grid)


@pytest.mark.parametrize("weights", [WeightFormat.TERNARY, WeightFormat.INT4])
def test_export_loses_nothing(tmp_path: Path, weights: WeightFormat) -> None:
    """Over a whole training, after every step of a chain."""
    schedule = Schedule(epochs=5, batch=32, learning_rate=0.01)
    aware = QuantizeAware(weights, schedule=schedule)
    rng = np.random.default_rng(1)
    inputs = rng.integers(0, 8, (400, SIZES[0])).astype(np.uint8)
    examples = Examples(inputs, (inputs.reshape(-1, 4, 3).sum(axis=2)).argmax(axis=1))
    task = Task("sums", "made up", SIZES[-1], examples, examples)
    chains: list[tuple[Method, ...]] = [(aware,), (aware, Distill(1, teacher=schedule), aware)]
    for chain in chains:
        recipe = Recipe("r", "r", "sums", SIZES[1:-1], chain, 0.5, 30)
        assert Session(recipe, task, 0, Journal(None, ""), lambda _: None).run().on_grid
        out = tmp_path / "net.npz"
        _, fake, integer = trainer.train(recipe, task, 0, out, lambda _: None).accuracies.values()
        assert fake == integer > 0.5
        assert checkpoint.load(out).accuracies["integer graph, the same examples"] == integer
