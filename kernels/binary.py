"""Layers of binary networks, whose activations are the signs -1 and 1, as the graph has them.

A sign s is stored as the bit b = (s + 1) / 2 with zero point 1, so the layer behind sees b - 1 in
{-1, 0}. Since s = 2 * (b - 1) + 1, a sum over signs is a Linear with input_shift 1 and the sum of
its weights in the bias:
    bias + sum(w * s) = (bias + sum(w)) + (sum(w * (b - 1)) << 1)
The sign of an accumulator is clip(acc + 1, 0, 1): 1 where it is not negative.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from kernels.dtypes import BIT
from kernels.ir import Tensor, frozen_array
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding

ZERO_POINT = 1


def signs(name: str, count: int) -> Tensor:
    """A tensor of so many signs, as bits."""
    return Tensor(name, (count,), BIT, zero_point=ZERO_POINT)


def sign_test() -> Requantization:
    """The bit of an accumulator: 1 for zero and above, 0 below."""
    return Requantization(
        frozen_array([1], np.int64), 0, Rounding.FLOOR, ZERO_POINT, BIT.low, BIT.high
    )


def over_signs(layer: Linear) -> Linear:
    """The layer that computes bias + sum(w * s), s the signs that its input of bits stands for.

    ValueError where the input is not bits, or a bias leaves int32.
    """
    if layer.input != replace(signs(layer.input.name, layer.input.count), scale=layer.input.scale):
        raise ValueError(f"{layer.name}: its input {layer.input} is not a tensor of signs")
    sums = layer.weights.astype(np.int64).sum(axis=1)
    return replace(layer, bias=frozen_array(layer.bias + sums, np.int32), input_shift=1)


def binary_linear(name: str, source: Tensor, weights: ArrayLike, bias: ArrayLike) -> Linear:
    """The layer of bits sign(bias + sum(w * s)) over the signs or numbers that `source` holds.

    weights: -1 and 1, (out, in); bias: integers (out,). The output tensor is named `<name>_out`.
    """
    matrix = frozen_array(np.asarray(weights), np.int8)
    layer = Linear(
        name,
        source,
        signs(f"{name}_out", len(matrix)),
        matrix,
        frozen_array(np.asarray(bias), np.int32),
        sign_test(),
    )
    return over_signs(layer) if source.dtype == BIT else layer
