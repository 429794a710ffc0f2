"""group-sums: weights of -1 and 1 as indices into tables of the sums of a few inputs.

A group of inputs has one table of all its signed sums, which a kernel fills while it runs; an
output's weights of the group are the index: bit i is set where the group's input i is added.
Indices of at most 4 bits share a byte, the first group's in its low half. In a last group that is
not full, the bits of absent inputs are clear; a kernel takes those inputs for zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.bitfields import pack_fields, unpack_fields
from kernels.dtypes import DType
from kernels.encodings import not_binary

NAME = "group-sums"
RANK = 0


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Weights are -1 or 1, inputs bytes."""
    if source.bits != 8:
        return f"reads inputs of 8 bits, not of {source}"
    return not_binary(weights)


def encode(weights: NDArray[np.int8], group: int) -> NDArray[np.uint8]:
    """One block, int8 (outputs, inputs), as uint8 (outputs * bytes of its indices,).

    group: inputs to a table, at most 8.
    """
    outputs, inputs = weights.shape
    bits = np.zeros((outputs, _groups(inputs, group) * group), np.uint8)
    bits[:, :inputs] = weights > 0
    indices = np.packbits(bits.reshape(outputs, -1, group), axis=-1, bitorder="little")[..., 0]
    return pack_fields(indices, _index_bits(group)).ravel()


def decode(data: NDArray[np.uint8], inputs: int, group: int) -> NDArray[np.int8]:
    """The block of that many inputs back, int8 (outputs, inputs)."""
    groups = _groups(inputs, group)
    rows = data.reshape(-1, -(-groups * _index_bits(group) // 8))
    indices = unpack_fields(rows, _index_bits(group), groups)
    bits = np.unpackbits(indices[..., np.newaxis], axis=-1, count=group, bitorder="little")
    flat = bits.reshape(len(rows), groups * group)[:, :inputs]
    return flat.astype(np.int8) * np.int8(2) - np.int8(1)


def _groups(inputs: int, group: int) -> int:
    return -(-inputs // group)


def _index_bits(group: int) -> int:
    return 4 if group <= 4 else 8
