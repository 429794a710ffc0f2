"""code: weights as instructions; per input, the magnitudes that it is multiplied with, and by whom.

A weight and its negative are one product, added to some outputs and subtracted from others; a zero
is nothing at all. The fastest form and by far the largest: some 8 bytes of code a weight. It pays
where the same weights meet many windows, so there are kernels for convolutions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import reads_bytes

NAME = "code"
RANK = 20


@dataclass(frozen=True, slots=True)
class Term:
    """The product of an input with `magnitude`, 1 to 128; added and subtracted: outputs."""

    magnitude: int
    added: tuple[int, ...]
    subtracted: tuple[int, ...]


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:  # noqa: ARG001
    """Any int8 matrix, any accumulator."""
    return reads_bytes(source)


def encode(weights: NDArray[np.int8]) -> tuple[tuple[Term, ...], ...]:
    """The terms of each input, for a block, int8 (outputs, inputs); the smallest first."""
    return tuple(_terms(column) for column in weights.T.astype(np.int16))


def decode(inputs: Sequence[Sequence[Term]], outputs: int) -> NDArray[np.int8]:
    """The block back, int8 (outputs, inputs)."""
    weights = np.zeros((outputs, len(inputs)), np.int16)  # 128 is a magnitude, not a weight
    for number, terms in enumerate(inputs):
        for term in terms:
            weights[list(term.added), number] = term.magnitude
            weights[list(term.subtracted), number] = -term.magnitude
    return weights.astype(np.int8)


def _terms(column: NDArray[np.int16]) -> tuple[Term, ...]:
    return tuple(
        Term(
            int(magnitude),
            tuple(np.flatnonzero(column == magnitude).tolist()),
            tuple(np.flatnonzero(column == -magnitude).tolist()),
        )
        for magnitude in np.unique(np.abs(column))
        if magnitude
    )
