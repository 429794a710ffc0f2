"""Settled layers as an integer graph: Linear layers and an Argmax."""

from __future__ import annotations

from collections.abc import Sequence

from kernels.dtypes import UINT8
from kernels.ir import Graph, Range, Tensor, verify
from kernels.ops.argmax import Argmax
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from models.export.layers import IntegerLayer, Settings


def build_graph(name: str, layers: Sequence[IntegerLayer], settings: Settings) -> Graph:
    """From counts, uint8 (in,), by fc1, fc2, ... to logits, int16, and their class, uint8 (1,).

    Raises GraphError for integers that make no graph.
    """
    bounds = None if settings.input_high == UINT8.high else Range(0, settings.input_high)
    shape = (layers[0].levels.shape[1],)
    counts = Tensor("counts", shape, UINT8, settings.input_scale, bounds=bounds)
    nodes: list[Linear | Argmax] = []
    source = counts
    for number, layer in enumerate(layers, start=1):
        tensor = "logits" if number == len(layers) else f"hidden{number}"
        output = Tensor(tensor, (len(layer.bias),), layer.output, layer.scale)
        nodes.append(_linear(f"fc{number}", source, output, layer))
        source = output
    predicted = Tensor("predicted", (1,), UINT8)
    nodes.append(Argmax("argmax", source, predicted))
    graph = Graph(name, counts, tuple(nodes), (source.name, predicted.name))
    verify(graph)
    return graph


def _linear(name: str, source: Tensor, output: Tensor, layer: IntegerLayer) -> Linear:
    requantization = Requantization(
        multiplier=layer.multiplier,
        shift=layer.shift,
        rounding=Rounding.FLOOR,
        zero_point=0,
        low=layer.low,
        high=layer.high,
    )
    return Linear(
        name,
        source,
        output,
        layer.levels,
        layer.bias,
        requantization,
        input_shift=layer.input_shift,
    )
