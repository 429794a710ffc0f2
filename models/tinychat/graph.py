"""The tinychat network as an integer graph, in the ideal arithmetic of z80ai.

x = 32 * count; acc = bias + sum of w * x modulo 2**16; y = acc >> 2, rounded down; ReLU on all
layers but the last; the first strict maximum is the next character. A query has at most 60
characters, so all counts together are at most 81: proofs of what can happen rest on it.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import INT16, UINT8
from kernels.ir import Bounds, Graph, Range, Tensor, frozen_array, verify
from kernels.ops.argmax import Argmax
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from models.chat.encoder import CONTEXT_GRAMS, INPUTS
from models.tinychat.weights import Weights

MAX_QUERY = 60  # characters, each of which begins a trigram
COUNT_SHIFT = 5
SHIFT = 2
ACCUMULATOR_BITS = 16


def build_graph(weights: Weights) -> Graph:
    """The graph: counts uint8 (256,) -> fc1 .. fcN -> argmax, the character's index uint8 (1,)."""
    each = Range(UINT8.low, UINT8.high)
    promise = Bounds.summing(INPUTS, each, Range(0, MAX_QUERY + CONTEXT_GRAMS))
    counts = Tensor("counts", (INPUTS,), UINT8, bounds=promise)
    nodes: list[Linear | Argmax] = []
    source = counts
    for number, (weight, bias) in enumerate(weights.layers, start=1):
        last = number == len(weights.layers)
        name = "logits" if last else f"hidden{number}"
        output = Tensor(name, bias.shape, INT16)
        nodes.append(
            Linear(
                f"fc{number}",
                source,
                output,
                weight,
                cast("NDArray[np.int32]", frozen_array(bias, np.int32)),
                _requantization(relu=not last),
                input_shift=COUNT_SHIFT if source is counts else 0,
                wrap=ACCUMULATOR_BITS,
            )
        )
        source = output
    character = Tensor("character", (1,), UINT8)
    nodes.append(Argmax("argmax", source, character))
    graph = Graph("tinychat", counts, tuple(nodes), (source.name, character.name))
    verify(graph)
    return graph


def _requantization(relu: bool) -> Requantization:
    return Requantization(
        multiplier=cast("NDArray[np.int64]", frozen_array([1], np.int64)),
        shift=SHIFT,
        rounding=Rounding.FLOOR,
        zero_point=0,
        low=0 if relu else INT16.low,
        high=INT16.high,
    )
