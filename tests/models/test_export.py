"""Export: integer graphs against plain Python, the float model and the emulated devices."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from harness.run import Runner
from kernels import ir, reference
from kernels.compile import compile_graph
from kernels.ops.linear import Linear
from kernels.passes.ranges import prove_ranges
from kernels.target import find_target
from models.compress.export import layers_of
from models.compress.network import Network
from models.compress.options import WeightFormat
from models.compress.quantizers import make
from models.errors import ModelError
from models.export import (
    IntegerLayer,
    LevelLayer,
    RealLayer,
    Settings,
    build_graph,
    fake_quantized,
    per_layer,
    settle,
)

SIZES = (12, 9, 7, 4)
KINDS = ("ternary", "binary rows", "2-bit", "int8", "int4", "int8 per layer", "int4 per layer")
Layers = tuple[RealLayer | LevelLayer, ...]


def counts(seed: int, n: int = 200, high: int = 6) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, high, (n, SIZES[0]), endpoint=True).astype(np.uint8)


def real(rng: np.random.Generator, inputs: int, outputs: int) -> RealLayer:
    return RealLayer(
        rng.normal(size=(outputs, inputs)) / inputs**0.5, 0.3 * rng.normal(size=outputs)
    )


def made(kind: str, seed: int, sizes: tuple[int, ...] = SIZES) -> tuple[Layers, Settings]:
    rng = np.random.default_rng(seed)
    layers: list[RealLayer | LevelLayer] = []
    settings = Settings(input_scale=0.5, max_weight=7 if kind.startswith("int4") else 127)
    for inputs, outputs in pairwise(sizes):
        layer = real(rng, inputs, outputs)
        shape, scale = (outputs, inputs), np.array([0.3 / inputs**0.5])
        if kind.endswith("per layer"):
            layers.append(per_layer(layer, settings.max_weight))
        elif kind in {"ternary", "2-bit"}:
            low = -1 if kind == "ternary" else -2
            levels = rng.integers(low, 1, shape, endpoint=True).astype(np.int8)
            layers.append(LevelLayer(levels, scale, layer.bias))
        elif kind == "binary rows":
            levels = (2 * rng.integers(0, 2, shape) - 1).astype(np.int8)
            layers.append(LevelLayer(levels, scale * rng.uniform(0.05, 1, outputs), layer.bias))
        else:
            layers.append(layer)
    return tuple(layers), settings


def scalar_logits(layers: tuple[IntegerLayer, ...], x: list[int]) -> list[int]:
    """The integer network in Python's own integers."""
    for layer in layers:
        outputs = []
        for unit, (row, bias) in enumerate(
            zip(layer.levels.tolist(), layer.bias.tolist(), strict=True)
        ):
            multiplier = layer.multiplier.tolist()
            m = multiplier[unit] if len(multiplier) > 1 else multiplier[0]
            total = sum(w * value for w, value in zip(row, x, strict=True))
            acc = bias + total * 2**layer.input_shift
            outputs.append(min(max((acc * m) // 2**layer.shift, layer.low), layer.high))
        x = outputs
    return x


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activations", ["uint8", "int16"])
def test_the_graph_is_exactly_the_scalar_model(kind: str, activations: str) -> None:
    layers, settings = made(kind, 1)
    settings = replace(settings, activations=activations)
    integers = settle(layers, counts(1), settings)
    graph = build_graph("tiny", integers, settings)
    extremes = np.array([[0] * 12, [255] * 12, [255, 0] * 6], np.uint8)
    inputs = np.concatenate([counts(2, 20), extremes])
    found = reference.run(graph, inputs)
    wanted = [scalar_logits(integers, row) for row in inputs.tolist()]
    assert found["logits"].tolist() == wanted
    assert found["predicted"][:, 0].tolist() == [row.index(max(row)) for row in wanted]


@pytest.mark.parametrize("kind", KINDS)
def test_integers_follow_the_fake_quantized_and_the_float_network(kind: str) -> None:
    for seed in range(5):
        layers, settings = made(kind, seed, (12, 40, 30, 4))
        integers = settle(layers, counts(seed, 500), settings)
        graph = build_graph("tiny", integers, settings)
        inputs = counts(seed, 500)
        fake = fake_quantized(layers, integers, inputs)
        found = reference.run(graph, inputs)["logits"] * integers[-1].scale
        assert np.abs(found - fake).mean() < 0.01 * np.abs(fake).mean()
        exact = float_logits(layers, inputs, settings)
        tolerance = 0.3 if kind == "int4" else 0.04  # elsewhere weights lose nothing, or 8 bits
        assert np.abs(fake - exact).mean() < tolerance * np.abs(exact).mean()


def float_logits(
    layers: Layers, inputs: NDArray[np.uint8], settings: Settings
) -> NDArray[np.float64]:
    values = inputs * settings.input_scale
    for layer in layers:
        if isinstance(layer, RealLayer):
            weights = layer.weights
        else:
            weights = layer.levels * layer.scale[:, None]
        values = values @ weights.T + layer.bias
        if layer is not layers[-1]:
            values = np.maximum(values, 0)
    return values


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_devices_compute_the_same_bits(kind: str, target: str) -> None:
    layers, settings = made(kind, 3)
    graph = build_graph("tiny", settle(layers, counts(3), settings), settings)
    ir.verify(graph)
    inputs = np.concatenate([counts(4, 4), np.array([[0] * 12, [255] * 12], np.uint8)])
    runner = Runner(compile_graph(graph, find_target(target)))
    wanted = reference.run(graph, inputs)
    for number, x in enumerate(inputs):
        outputs = runner.infer(x).outputs
        assert outputs["logits"].tolist() == wanted["logits"][number].tolist()
        assert outputs["predicted"].tolist() == wanted["predicted"][number].tolist()


@pytest.mark.parametrize("kind", ["ternary", "2-bit", "int8 per layer", "int4 per layer"])
def test_one_scale_is_requantized_by_a_shift(kind: str) -> None:
    layers, settings = made(kind, 0)
    for node in build_graph("tiny", settle(layers, counts(0), settings), settings).nodes[:-1]:
        assert isinstance(node, Linear)
        assert node.requantization.is_shift
        assert node.requantization.round_bias == 0


@pytest.mark.parametrize("kind", ["binary rows", "int8", "int4"])
def test_rows_take_multipliers_of_eight_bits(kind: str) -> None:
    layers, settings = made(kind, 0)
    for layer in settle(layers, counts(0), settings):
        assert layer.multiplier.shape == layer.bias.shape
        assert 1 <= layer.multiplier.min() <= layer.multiplier.max() <= 255


@pytest.mark.parametrize("kind", KINDS)
def test_activations_use_their_levels(kind: str) -> None:
    layers, settings = made(kind, 0)
    integers = settle(layers, counts(0), settings)
    values = reference.run(build_graph("tiny", integers, settings), counts(0))
    for number, layer in enumerate(integers[:-1], start=1):
        hidden = values[f"hidden{number}"]
        assert 120 <= hidden.max() <= layer.high <= 255
        assert hidden.min() == 0


def test_logits_of_one_scale_never_saturate() -> None:
    layers, settings = made("int8 per layer", 0)
    integers = settle(layers, counts(0), settings)
    graph = build_graph("tiny", integers, settings)
    logits = graph.nodes[-2]
    last = integers[-1]
    assert isinstance(logits, Linear)
    low, high = logits.accumulator_bounds(prove_ranges(graph)[logits.inputs[0]])
    assert -0x8000 <= (int(low.min()) >> last.shift) <= (int(high.max()) >> last.shift) <= 0x7FFF


def test_activations_saturate_lower_where_that_keeps_accumulators_in_16_bits() -> None:
    levels = np.ones((1, 150), np.int8)
    rng = np.random.default_rng(0)
    first = LevelLayer(
        rng.integers(-1, 1, (150, 12), endpoint=True).astype(np.int8), np.ones(1), np.zeros(150)
    )
    layers = (first, LevelLayer(levels, np.ones(1), np.zeros(1)))
    calibration = counts(0, 30, 4)
    hidden, last = settle(layers, calibration, Settings())
    assert 128 <= hidden.high == 32767 // 150
    graph = build_graph("tiny", (hidden, last), Settings())
    output = graph.nodes[1]
    assert isinstance(output, Linear)
    assert output.accumulator_bits(prove_ranges(graph)["hidden1"]) == 16


@pytest.mark.parametrize("part", ["weights", "bias"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused(part: str, bad: float) -> None:
    layers, settings = made("int8", 0)
    layer = layers[1]
    assert isinstance(layer, RealLayer)
    array = (layer.weights if part == "weights" else layer.bias).copy()
    array.flat[0] = bad
    spoiled = replace(layer, **{part: array})
    with pytest.raises(ModelError, match=rf"layer 2: its {part} hold NaN"):
        settle((layers[0], spoiled, layers[2]), counts(0), settings)


def test_nan_scales_are_refused() -> None:
    layer = LevelLayer(np.ones((2, 12), np.int8), np.array([np.nan]), np.zeros(2))
    with pytest.raises(ModelError, match="layer 1: its weights hold NaN"):
        settle((layer,), counts(0), Settings())


def test_nan_in_one_scale_for_all_is_refused() -> None:
    with pytest.raises(ModelError, match="weights hold NaN"):
        per_layer(RealLayer(np.full((2, 12), np.nan), np.zeros(2)), 127)


@pytest.mark.parametrize("weights", WeightFormat)
def test_nan_in_a_trained_network_is_refused(weights: WeightFormat) -> None:
    network = Network((12, 9, 4))
    network.quantize(make(weights, per_row=False))
    network.stack[1].weight.data[0, 0] = np.nan
    with pytest.raises(ModelError, match=r"layers\.1\.weight holds NaN"):
        layers_of(network)


def test_the_trained_network_and_its_integers_agree() -> None:
    """In evaluation, with activations as they are, the layers to settle are the network."""
    for weights in WeightFormat:
        torch.manual_seed(0)
        network = Network((12, 9, 4), 0.5)
        network.quantize(make(weights, per_row=False), norm=weights is WeightFormat.BINARY)
        inputs = counts(0)
        with torch.no_grad():
            network.train()(torch.tensor(inputs, dtype=torch.float32))
            wanted = network.eval()(torch.tensor(inputs, dtype=torch.float32)).numpy()
        settings = Settings(input_scale=0.5)
        layers = layers_of(network)
        fake = fake_quantized(layers, settle(layers, inputs, settings), inputs)
        assert np.abs(fake - wanted).mean() < 0.02 * np.abs(wanted).mean()


def test_dead_layers_are_refused_where_they_have_no_scale() -> None:
    layers, settings = made("int8", 0)
    silent = RealLayer(np.full((9, 12), -1.0), np.full(9, -1.0))
    with pytest.raises(ModelError, match="layer 1 gives 0 for every calibration input"):
        settle((silent, *layers[1:]), counts(0), settings)
    empty = RealLayer(np.zeros((9, 12)), np.ones(9))
    with pytest.raises(ModelError, match="layer 1 has only zero weights"):
        settle((empty, *layers[1:]), counts(0), settings)


def test_a_bias_beyond_32_bits_is_refused() -> None:
    layer = LevelLayer(np.ones((2, 12), np.int8), np.array([1e-9]), np.ones(2) * 1e3)
    with pytest.raises(ModelError, match=r"layer 1: a bias of .* does not fit 32 bits"):
        settle((layer,), counts(0), Settings())


def test_a_promised_input_range_is_part_of_the_graph() -> None:
    layers, settings = made("ternary", 0)
    settings = replace(settings, input_high=16)
    graph = build_graph("tiny", settle(layers, counts(0), settings), settings)
    assert graph.input.bounds == ir.Range(0, 16)
    assert graph.input.scale == 0.5
