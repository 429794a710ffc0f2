"""twin-trits: as paged trits, ten outputs at a time: two codes of an input, which go together.

A block is ten outputs and has two pages, one for each five of them. Where either code of an input
would be a pair, the first one is a number of four codes: two for each five outputs, added one after
the other. A block has room for 34 of these; layers with more, or with more inputs than have room in
a page, are held as paged trits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.encodings import trits
from kernels.encodings.trits import PATTERNS, grouping, problem, row_blocks

__all__ = ["BLOCK", "INPUTS", "NAME", "RANK", "decode", "encode", "grouping", "problem"]

NAME = "twin-trits"
RANK = 8
BLOCK = 2 * trits.BLOCK
INPUTS = 256 - 1 - 2 - 2 * BLOCK  # the end's code, where fours are, biases of two bytes


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Ten outputs. codes: int64 (2, inputs), of which the first are fours from 211 on.

    fours: uint8 (n, 4): the first codes of both halves, then the second ones.
    """

    codes: NDArray[np.int64]
    fours: NDArray[np.uint8]


def ten_rows(weights: NDArray[np.int8]) -> list[NDArray[np.int8]]:
    """The matrix, int8 (out, in), in blocks of ten rows; the last one is filled with zeros."""
    fives = row_blocks(weights)
    if len(fives) % 2:
        fives.append(np.zeros_like(fives[0]))
    return [np.concatenate(pair) for pair in zip(fives[::2], fives[1::2], strict=True)]


def encode(weights: NDArray[np.int8]) -> Block:
    """One block, int8 (10, inputs)."""
    halves = [
        _parts(trits.encode(rows)) for rows in (weights[: trits.BLOCK], weights[trits.BLOCK :])
    ]
    rounds = np.stack([part for two in zip(*halves, strict=True) for part in two])
    heavy = rounds[2:].any(axis=0)
    fours, numbers = np.unique(rounds[:, heavy].T, axis=0, return_inverse=True)
    codes = rounds[:2].copy()
    codes[0, heavy] = len(PATTERNS) + numbers.ravel()
    codes[1, heavy] = 0
    return Block(codes, fours.astype(np.uint8).reshape(-1, 4))


def decode(block: Block) -> NDArray[np.int8]:
    """The block back, int8 (10, inputs)."""
    patterns = np.array(PATTERNS, np.int8)
    first = block.codes[0]
    rounds = np.zeros((4, len(first)), np.int64)
    heavy = first >= len(PATTERNS)
    rounds[:2, ~heavy] = block.codes[:, ~heavy]
    rounds[:, heavy] = block.fours[first[heavy] - len(PATTERNS)].T
    weights = patterns[rounds]  # (4, inputs, 5)
    both: NDArray[np.int8] = np.concatenate([weights[0] + weights[2], weights[1] + weights[3]], 1).T
    return both


def _parts(block: trits.Block) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the second code of each input; the second mostly that of no weights."""
    plain = np.stack([np.arange(len(PATTERNS)), np.zeros(len(PATTERNS), np.int64)])
    both = np.concatenate([plain, block.pairs.T.astype(np.int64)], axis=1)
    first, second = both[:, block.codes]
    return first, second
