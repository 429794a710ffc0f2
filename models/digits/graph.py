"""The digits network as an integer graph: three Linear layers and an Argmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import INT16, UINT8
from kernels.ir import Graph, Tensor, frozen_array, verify
from kernels.ops.argmax import Argmax
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from models.digits.data import PIXEL_RANGE, PIXELS
from models.quantization import QuantizedLayer

PIXELS_TENSOR = Tensor(
    "pixels", (PIXELS,), UINT8, 1 / PIXEL_RANGE.high, bounds=PIXEL_RANGE, sparse=True
)


def build_graph(name: str, layers: Sequence[QuantizedLayer]) -> Graph:
    """From pixels to digit by fc1, fc2, ..., logits, argmax; GraphError for unfit integers.

    Hidden activations are uint8 with a zero point of 0, so saturation at 0 is the ReLU; the last
    layer's logits are int16.
    """
    nodes: list[Linear | Argmax] = []
    source = PIXELS_TENSOR
    for number, layer in enumerate(layers, start=1):
        last = number == len(layers)
        output = Tensor(
            "logits" if last else f"hidden{number}",
            (len(layer.bias),),
            INT16 if last else UINT8,
            layer.scale,
        )
        nodes.append(_linear(f"fc{number}", source, output, layer))
        source = output
    digit = Tensor("digit", (1,), UINT8)
    nodes.append(Argmax("argmax", source, digit))
    graph = Graph(name, PIXELS_TENSOR, tuple(nodes), (source.name, digit.name))
    verify(graph)
    return graph


def _linear(name: str, source: Tensor, output: Tensor, layer: QuantizedLayer) -> Linear:
    requantization = Requantization(
        multiplier=cast("NDArray[np.int64]", frozen_array(layer.multiplier, np.int64)),
        shift=layer.shift,
        rounding=Rounding.HALF_UP,
        zero_point=0,
        low=output.dtype.low,
        high=output.dtype.high,
    )
    return Linear(name, source, output, layer.weights, layer.bias, requantization)
