"""PyTorch modules: the same function as a float network, and the integer graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.run import Runner
from kernels import ir, reference
from kernels.compile import compile_graph
from kernels.target import find_target
from models.errors import ModelError, UnsupportedOperator
from models.importers import FloatNetwork, from_torch

FEATURES = 12


class Named(nn.Module):
    """Layers by name, ReLU as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(FEATURES, 8), nn.Linear(8, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.second(self.dropout(torch.relu(self.first(x))))


class Normalizing(nn.Module):
    """Standardizes its input with constants of its own."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.arange(float(FEATURES)).reshape(3, 4) / 10)
        self.scale = torch.full((4,), 2.0)
        self.net = nn.Sequential(nn.Flatten(), Named())

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return -(1.5 - self.net((x / 4 - self.mean) * self.scale + 0.25))


class Views(nn.Module):
    """Changes shapes in every way that keeps the order."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Named()

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        x = x.view(x.shape[0], 1, -1).contiguous().squeeze(1).clone()
        return self.body(x.reshape(len(x), -1)).unsqueeze(1).flatten(1)


def sequential(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def normalized(*places: int) -> nn.Sequential:
    """Linear and ReLU twice and Linear, with batch normalization inserted at those places."""
    layers: list[nn.Module] = [nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU()]
    layers.append(nn.Linear(6, 3))
    widths = [FEATURES, 8, 8, 6, 6, 3]
    for place in sorted(places, reverse=True):
        layers.insert(place, nn.BatchNorm1d(widths[place]))
    return nn.Sequential(*layers)


MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "one layer": (lambda: sequential(nn.Linear(FEATURES, 3)), (12,), (12, 3)),
    "bare linear": (lambda: nn.Linear(FEATURES, 3), (12,), (12, 3)),
    "no bias": (
        lambda: sequential(nn.Linear(FEATURES, 8, bias=False), nn.ReLU(), nn.Linear(8, 3)),
        (12,),
        (12, 8, 3),
    ),
    "named": (Named, (12,), (12, 8, 3)),
    "image": (lambda: sequential(nn.Flatten(), Named()), (3, 4), (12, 8, 3)),
    "norm after linear": (lambda: normalized(1, 3), (12,), (12, 8, 6, 3)),
    "norm before linear": (lambda: normalized(0, 2, 4), (12,), (12, 8, 6, 3)),
    "norm at the end": (lambda: normalized(5), (12,), (12, 8, 6, 3)),
    "norm without parameters": (
        lambda: sequential(nn.Linear(FEATURES, 3), nn.BatchNorm1d(3, affine=False)),
        (12,),
        (12, 3),
    ),
    "nested": (
        lambda: sequential(sequential(nn.Linear(FEATURES, 8), nn.ReLU()), nn.Linear(8, 3)),
        (12,),
        (12, 8, 3),
    ),
    "in place": (
        lambda: sequential(nn.Linear(FEATURES, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)),
        (12,),
        (12, 8, 3),
    ),
    "constants": (Normalizing, (3, 4), (12, 8, 3)),
    "views": (Views, (2, 6), (12, 8, 3)),
    "two linears in a row": (
        lambda: sequential(nn.Linear(FEATURES, 5), nn.Linear(5, 3)),
        (12,),
        (12, 3),
    ),
    "relu twice": (
        lambda: sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.ReLU(), nn.Linear(8, 3)),
        (12,),
        (12, 8, 3),
    ),
    "relu first": (
        lambda: sequential(nn.ReLU(), nn.Linear(FEATURES, 3)),
        (12,),
        (12, 12, 3),
    ),
}


def built(name: str) -> tuple[nn.Module, Tensor]:
    """A module whose normalizations have seen data, in training mode, and inputs."""
    torch.manual_seed(3)
    make, shape, _ = MODULES[name]
    module = make()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d) and part.affine:
            nn.init.uniform_(part.weight, -1, 2)
            nn.init.normal_(part.bias)
    for _ in range(3):
        module(2 * torch.randn(20, *shape) + 0.5)
    return module, 3 * torch.randn(20, *shape)


def plain(module: nn.Module, example: Tensor, name: str = "imported") -> FloatNetwork:
    """The network of a plain sequence of layers."""
    network = from_torch(module, example, name)
    assert isinstance(network, FloatNetwork)
    return network


@pytest.mark.parametrize("name", MODULES)
def test_the_float_network_is_the_module(name: str) -> None:
    module, inputs = built(name)
    network = plain(module, inputs[:2])
    assert all(part.training for part in module.modules())
    assert network.sizes == MODULES[name][2]
    wanted = module.eval()(inputs).detach().numpy()
    np.testing.assert_allclose(network.run(inputs.numpy()), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("per_row", [True, False])
def test_quantized_networks_agree(bits: int, per_row: bool) -> None:
    module, _ = built("image")
    calibration = np.random.default_rng(0).integers(0, 256, (300, 3, 4)).astype(np.uint8)
    network = plain(module, torch.zeros(1, 3, 4), "image")
    graph = network.quantize(calibration, input_scale=1 / 64, bits=bits, per_row=per_row)
    ir.verify(graph)
    flat = calibration.reshape(300, -1)
    found = reference.run(graph, flat)
    wanted = network.run(calibration / 64)
    scale = graph.tensors["logits"].scale
    error = np.abs(found["logits"] * scale - wanted).mean() / np.abs(wanted).mean()
    assert error < (0.02 if bits == 8 else 0.2)
    assert np.mean(found["predicted"][:, 0] == wanted.argmax(axis=1)) > (0.97 if bits == 8 else 0.8)


@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_devices_run_an_imported_network(target: str) -> None:
    module, _ = built("constants")
    calibration = np.random.default_rng(1).integers(0, 200, (50, 3, 4)).astype(np.uint8)
    graph = from_torch(module, torch.zeros(1, 3, 4)).quantize(calibration, input_scale=0.05)
    runner = Runner(compile_graph(graph, find_target(target)))
    flat = calibration.reshape(50, -1)[:5]
    wanted = reference.run(graph, flat)
    for number, x in enumerate(flat):
        outputs = runner.infer(x).outputs
        assert outputs["logits"].tolist() == wanted["logits"][number].tolist()
        assert outputs["predicted"].tolist() == wanted["predicted"][number].tolist()


class Squared(nn.Module):
    """Multiplies what it computed with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(FEATURES, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        """The squares."""
        inner = self.inner(x)
        return inner * inner


UNSUPPORTED: dict[str, tuple[nn.Module, tuple[int, ...], str, str, str]] = {
    "dilated": (
        sequential(nn.Conv1d(1, 2, 3, dilation=2), nn.Flatten(), nn.Linear(16, 3)),
        (1, FEATURES),
        "aten.conv1d.default",
        "'0' (Conv1d)",
        "Conv1d or Conv2d with dilation 1",
    ),
    "transposed": (
        sequential(sequential(nn.ConvTranspose2d(1, 2, 3))),
        (1, 4, 4),
        "aten.conv_transpose2d.input",
        "'0.0' (ConvTranspose2d)",
        "Conv2d, or Linear",
    ),
    "ceil mode": (
        sequential(nn.Conv2d(1, 2, 1), nn.MaxPool2d(2, ceil_mode=True)),
        (1, 5, 5),
        "aten.max_pool2d.default",
        "'1' (MaxPool2d)",
        "MaxPool without dilation and ceil_mode",
    ),
    "padding not counted": (
        sequential(nn.Conv2d(1, 2, 1), nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
        (1, 5, 5),
        "aten.avg_pool2d.default",
        "'1' (AvgPool2d)",
        "padding counted",
    ),
    "adaptive pool": (
        sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(2)),
        (1, 4, 4),
        "aten.adaptive_avg_pool2d.default",
        "'1' (AdaptiveAvgPool2d)",
        "AdaptiveAvgPool to size 1",
    ),
    "product of two values": (
        Squared(),
        (FEATURES,),
        "aten.mul.Tensor",
        "the module's own forward (Squared)",
        "a sum of two values",
    ),
    "softmax": (
        sequential(nn.Linear(FEATURES, 3), nn.Softmax(-1)),
        (FEATURES,),
        "aten.softmax.int",
        "'1' (Softmax)",
        "the largest logit is the class all the same",
    ),
    "layer norm": (
        sequential(nn.LayerNorm(FEATURES), nn.Linear(FEATURES, 3)),
        (FEATURES,),
        "aten.layer_norm.default",
        "'0' (LayerNorm)",
        "BatchNorm",
    ),
    "order": (
        sequential(nn.PixelShuffle(2), nn.Flatten(), nn.Linear(FEATURES, 3)),
        (4, 3, 1),
        "aten.pixel_shuffle.default",
        "'0' (PixelShuffle)",
        "Linear, Conv1d, Conv2d, BatchNorm",
    ),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_is_named(name: str) -> None:
    module, shape, operator, place, nearest = UNSUPPORTED[name]
    with pytest.raises(UnsupportedOperator) as caught:
        from_torch(module, torch.zeros(2, *shape))
    message = str(caught.value)
    assert message.startswith(f"{operator} at {place} is not supported; nearest: ")
    assert nearest in message
    assert "\n" not in message


class Branching(nn.Module):
    """Looks at its input's values."""

    def forward(self, x: Tensor) -> Tensor:
        """Its input or the negative."""
        return x if bool(x.sum() > 0) else -x


class Several(nn.Module):
    """Returns two tensors."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two values."""
        return x + 1, x * 2


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        (Branching(), "torch.export cannot trace Branching: "),
        (Several(), "returns several values"),
        (nn.Flatten(), "Flatten has no layer"),
    ],
)
def test_modules_that_are_no_network_are_refused(module: nn.Module, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        from_torch(module, torch.ones(2, FEATURES))


def test_a_linear_on_several_axes_is_refused() -> None:
    with pytest.raises(ModelError, match=r"'0' \(Linear\) is a Linear on \(2, 3, 4\); flatten"):
        from_torch(sequential(nn.Linear(4, 3)), torch.zeros(2, 3, 4))


def test_nan_is_refused() -> None:
    module = nn.Linear(FEATURES, 3)
    nn.init.constant_(module.bias, float("nan"))
    with pytest.raises(ModelError, match="weights that are NaN"):
        from_torch(module, torch.zeros(2, FEATURES))


def network() -> FloatNetwork:
    return plain(built("named")[0], torch.zeros(2, FEATURES))


def test_calibration_must_fit() -> None:
    for bad in (np.zeros((5, 11), np.uint8), np.zeros((5, FEATURES))):
        with pytest.raises(ModelError, match=r"expected uint8 \(n, 12\)"):
            network().quantize(bad, input_scale=1.0)
    with pytest.raises(ModelError, match="outside"):
        network().quantize(np.ones((5, FEATURES), np.uint8), input_scale=1.0, bits=9)


def test_logits_after_relu_are_refused() -> None:
    module = sequential(nn.Linear(FEATURES, 3), nn.ReLU())
    found = from_torch(module, torch.zeros(2, FEATURES))
    with pytest.raises(ModelError, match="ends in ReLU"):
        found.quantize(np.ones((5, FEATURES), np.uint8), input_scale=1.0)
