"""PyTorch modules with convolutions, branches and tables: float graph, integer graph, devices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from harness.run import Runner
from kernels import ir, reference
from kernels.compile import compile_graph
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.linear import Linear
from kernels.ops.relu import Relu
from kernels.ops.table_activation import TableActivation
from kernels.target import find_target
from models.errors import ModelError, UnsupportedOperator
from models.importers import FloatGraph, from_torch

STEP = 1 / 64  # of the inputs


class Residual(nn.Module):
    """A block with a shortcut, ReLU behind the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both ways."""
        return torch.relu(x + self.norm(self.second(torch.relu(self.first(x)))))


class Named(nn.Module):
    """Layers by name, functions between, a mean at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, stride=2)
        self.body = nn.Conv2d(4, 3, (3, 1), padding="same")
        self.drop = nn.Dropout2d(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.drop(functional.relu6(self.stem(x)))
        return functional.relu(self.body(x)).mean((2, 3))


class PreActivation(nn.Module):
    """Normalization and ReLU before a convolution, on a value that is also read elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.inner = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3 * 6 * 5, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = self.stem(x)
        x = x + self.inner(torch.relu(self.norm(x)))
        return self.head(x.flatten(1))


class Sequence(nn.Module):
    """A flat input taken as a sequence of one channel."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 4, 5, stride=2, padding=2)
        self.second = nn.Conv1d(4, 4, 3, groups=2)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = functional.max_pool1d(torch.relu(self.first(x.unsqueeze(1))), 2)
        x = functional.avg_pool1d(torch.tanh(self.second(x)), 3, 1, 1)
        return self.head(functional.adaptive_avg_pool1d(x, 1).squeeze(-1))


class Standardizing(nn.Module):
    """Takes a mean off each channel before a convolution without padding."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([1.0, 2.0]).reshape(2, 1, 1))
        self.net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.net((x - self.mean) / 0.8)


def sequential(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def separable() -> nn.Module:
    return sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU6(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU6(),
        nn.Conv2d(4, 6, 1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


def tables() -> nn.Module:
    return sequential(
        nn.Linear(10, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 5), nn.GELU()
    )


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "bare convolution": (lambda: nn.Conv2d(2, 3, 3), (2, 5, 4)),
    "image net": (
        lambda: sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6 * 2 * 1, 5),
        ),
        (1, 8, 6),
    ),
    "norms": (
        lambda: sequential(
            nn.BatchNorm2d(2),
            nn.Conv2d(2, 3, 2),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.BatchNorm2d(3),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.BatchNorm1d(12),
            nn.Linear(12, 4),
        ),
        (2, 5, 5),
    ),
    "residual": (
        lambda: sequential(
            nn.Conv2d(1, 3, 3), nn.ReLU(), Residual(3), Residual(3), nn.Flatten(), nn.Linear(48, 4)
        ),
        (1, 6, 6),
    ),
    "pre-activation": (PreActivation, (1, 6, 5)),
    "named": (Named, (2, 7, 7)),
    "depthwise separable": (separable, (1, 6, 6)),
    "sequence": (Sequence, (14,)),
    "channels of a sequence": (
        lambda: sequential(
            nn.Conv1d(3, 4, 3, padding=1),
            nn.LeakyReLU(),
            nn.MaxPool1d(3, 2, 1),
            nn.Flatten(),
            nn.Linear(20, 3),
        ),
        (3, 10),
    ),
    "pools": (
        lambda: sequential(
            nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 1, 1), nn.Conv2d(2, 2, 1), nn.MaxPool2d((2, 1))
        ),
        (2, 7, 8),
    ),
    "tables": (tables, (10,)),
    "clamps": (
        lambda: sequential(
            nn.Linear(9, 7),
            nn.Hardtanh(),
            nn.Linear(7, 6),
            nn.Hardtanh(-0.5, 0.7),
            nn.ReLU(),
            nn.Linear(6, 3),
            nn.Hardswish(),
        ),
        (9,),
    ),
    "standardizing": (Standardizing, (2, 6, 6)),
    "relu of a shared value": (
        lambda: sequential(nn.Conv2d(1, 2, 1), Shared()),
        (1, 4, 4),
    ),
}


class Shared(nn.Module):
    """Reads a value before and after ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        return x + torch.relu(x)


def built(name: str) -> tuple[nn.Module, NDArray[np.uint8]]:
    """A module whose normalizations have seen data, in evaluation mode, and inputs as bytes."""
    torch.manual_seed(4)
    make, shape = MODULES[name]
    module = make()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
    inputs = np.random.default_rng(0).integers(0, 256, (60, *shape)).astype(np.uint8)
    for _ in range(5):
        module(torch.tensor(inputs * STEP, dtype=torch.float32))
    return module.eval(), inputs


def imported(name: str) -> tuple[FloatGraph, NDArray[np.uint8], NDArray[np.float64]]:
    """The float graph, inputs, and what the module makes of them."""
    module, inputs = built(name)
    network = from_torch(module, torch.zeros(2, *inputs.shape[1:]), "net")
    assert isinstance(network, FloatGraph)
    with torch.no_grad():
        wanted = module(torch.tensor(inputs * STEP, dtype=torch.float32)).numpy()
    return network, inputs, wanted.astype(np.float64)


def real_logits(graph: ir.Graph, inputs: NDArray[np.integer]) -> NDArray[np.float64]:
    """The integer graph's logits as real values, channels first."""
    found = reference.run(graph, inputs)["logits"] * graph.tensors["logits"].scale
    return np.moveaxis(found, -1, 1)


@pytest.mark.parametrize("name", MODULES)
def test_the_float_graph_is_the_module(name: str) -> None:
    network, inputs, wanted = imported(name)
    np.testing.assert_allclose(network.run(inputs * STEP), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("per_row", "most"), [(True, 0.03), (False, 0.05)])
@pytest.mark.parametrize("name", MODULES)
def test_quantized_graphs_agree(name: str, per_row: bool, most: float) -> None:
    network, inputs, wanted = imported(name)
    graph = network.quantize(inputs, input_scale=STEP, per_row=per_row)
    ir.verify(graph)
    found = real_logits(graph, network.on_device(inputs))
    spread = np.abs(wanted - wanted.mean(axis=0)).mean()
    assert np.abs(found - wanted).mean() < most * (spread + np.abs(wanted).mean())


@pytest.mark.parametrize("target", ["uno", "cpm"])
@pytest.mark.parametrize("name", MODULES)
def test_devices_run_imported_graphs(name: str, target: str) -> None:
    network, inputs, _ = imported(name)
    graph = network.quantize(inputs, input_scale=STEP)
    runner = Runner(compile_graph(graph, find_target(target)))
    chosen = network.on_device(inputs)[:3]
    wanted = reference.run(graph, chosen)
    for number, x in enumerate(chosen):
        for tensor, found in runner.infer(x).outputs.items():
            assert found.tolist() == wanted[tensor][number].tolist()


def ops(name: str) -> list[type]:
    network, inputs, _ = imported(name)
    return [type(node) for node in network.quantize(inputs, input_scale=STEP).nodes]


def test_normalization_and_bounds_are_folded() -> None:
    kinds = ops("depthwise separable")
    assert kinds.count(Conv2d) == 3
    assert kinds.count(Relu) == 0
    assert ops("norms").count(Conv2d) == 2  # the one behind ReLU, before a pool, is depthwise
    assert ops("norms").count(Linear) == 1
    assert ops("standardizing").count(Conv2d) == 1
    assert ops("sequence").count(Conv1d) == 2
    assert ops("tables").count(TableActivation) == 3
    assert ops("relu of a shared value").count(Relu) == 1


def test_a_clipped_relu_saturates_at_its_bound() -> None:
    network, inputs, _ = imported("named")
    graph = network.quantize(inputs, input_scale=STEP)
    stem = next(node for node in graph.nodes if isinstance(node, Conv2d))
    how = stem.requantization
    assert how.low == 0
    assert how.high * stem.output.scale <= 6 + stem.output.scale / 2


@pytest.mark.parametrize("bits", [2, 4, 7])
def test_weights_have_the_bits_that_were_asked_for(bits: int) -> None:
    network, inputs, _ = imported("image net")
    graph = network.quantize(inputs, input_scale=STEP, bits=bits)
    largest = [np.abs(n.weights).max() for n in graph.nodes if isinstance(n, Linear | Conv2d)]
    assert largest == [(1 << (bits - 1)) - 1] * 3


def test_calibration_must_fit() -> None:
    network, inputs, _ = imported("image net")
    for bad in (inputs[:, :, :-1], inputs.astype(np.float64)):
        with pytest.raises(ModelError, match=r"expected uint8 \(n, 1, 8, 6\)"):
            network.quantize(bad, input_scale=STEP)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="9 bits are outside"):
        network.quantize(inputs, input_scale=STEP, bits=9)
    with pytest.raises(ModelError, match="gives 0 for every calibration input"):
        from_torch(dead(), torch.zeros(1, 1, 4, 4)).quantize(
            np.ones((2, 1, 4, 4), np.uint8), input_scale=1.0
        )


def dead() -> nn.Module:
    """Its convolution never gets above zero."""
    module = sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1))
    first = module[0]
    assert isinstance(first, nn.Conv2d)
    assert first.bias is not None
    nn.init.constant_(first.bias, -1e4)
    return module


def test_the_input_may_be_promised_to_be_small() -> None:
    network, inputs, _ = imported("image net")
    graph = network.quantize(inputs // 4, input_scale=STEP, input_high=63)
    assert graph.input.range == ir.Range(0, 63)


def test_a_flattened_image_is_no_result() -> None:
    network = from_torch(sequential(nn.Conv2d(1, 2, 1), nn.Flatten()), torch.zeros(1, 1, 3, 3))
    with pytest.raises(ModelError, match="ends in a flattened image"):
        network.quantize(np.full((2, 1, 3, 3), 9, np.uint8), input_scale=1.0)


class Folding(nn.Module):
    """Gives an image another shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(2, 2, 1)
        self.outer = nn.Conv2d(shape[0], 2, 1)
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Two channels."""
        return self.outer(self.inner(x).reshape(len(x), *self.shape))


def test_reshapes_that_move_nothing_are_free() -> None:
    inputs = np.random.default_rng(0).integers(0, 256, (4, 2, 2, 4)).astype(np.uint8)
    network = from_torch(Folding(2, 1, 8), torch.zeros(1, 2, 2, 4))
    assert isinstance(network, FloatGraph)
    graph = network.quantize(inputs, input_scale=STEP)
    program = compile_graph(graph, find_target("uno"))
    assert program.image.size_of("flatten2") == 0
    moving = from_torch(Folding(4, 2, 2), torch.zeros(1, 2, 2, 4))
    with pytest.raises(UnsupportedOperator, match=r"a reshape to \(4, 2, 2\) at the module"):
        moving.quantize(inputs, input_scale=STEP)


def test_constants_within_a_channel_are_refused() -> None:
    class Offsets(nn.Module):
        """Adds another constant to each pixel, before padding."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(1, 1, 3, padding=1)
            self.offsets = torch.arange(9.0).reshape(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            """One channel."""
            return self.inner(x + self.offsets)

    with pytest.raises(UnsupportedOperator, match="several values per channel at the module"):
        from_torch(Offsets(), torch.zeros(1, 1, 3, 3))
