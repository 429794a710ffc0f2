"""twin-trits: as paged trits, ten outputs at a time: two codes of an input, which go together.

A block is ten outputs and has two pages, one for each five of them. Where the first five would take
a pair, so does their code. Where the second five would, their code is one part of the pair, and the
first code is a late one: it names the other part, and what the first code would be without that. A
block has room for 14 pairs and 12 late codes; layers with more, or with more inputs than have room
in a page, are held as paged trits. Pairs cost less, so the five outputs that need more come first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.encodings import trits
from kernels.encodings.trits import PATTERNS, problem, row_blocks
from kernels.grouping import Grouping

__all__ = ["BLOCK", "INPUTS", "NAME", "RANK", "decode", "encode", "grouping", "problem"]

NAME = "twin-trits"
RANK = 8
BLOCK = 2 * trits.BLOCK
INPUTS = 256 - 1 - 2 - 2 * BLOCK  # the end's code, where pairs are, biases of two bytes
PAIRS, LATE = 14, 12


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Ten outputs. codes: int64 (2, inputs); first ones from 211 on are pairs, then late codes.

    pairs: int64 (n, 2), the two codes of each. late: int64 (m, 2), of each the other second code,
    and the first one.
    """

    codes: NDArray[np.int64]
    pairs: NDArray[np.int64]
    late: NDArray[np.int64]

    @property
    def fits(self) -> bool:
        """Whether there is room for all pairs and late codes."""
        return len(self.pairs) <= PAIRS and len(self.late) <= LATE

    def without_late(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each input the first code that is not late, and the other second code or 0."""
        count = len(PATTERNS) + len(self.pairs)
        plain = np.stack([np.zeros(count, np.int64), np.arange(count)])
        other, first = np.concatenate([plain, self.late.T], axis=1)[:, self.codes[0]]
        return first, other


def grouping(weights: NDArray[np.int8]) -> Grouping:
    """As for trits, but a single -1 is as good as no weights; the costlier fives come first."""
    kinds = np.select([weights == -1, np.abs(weights) == 2], [3, 2], np.abs(weights))
    return Grouping(trits.BLOCK, kinds.astype(np.uint8), 4, _code_costs, by_turns=True)


def _code_costs(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    near = (counts[0] == trits.BLOCK - 1) & (counts[3] == 1)
    return np.where(near, trits.ZERO_COST, trits.pattern_costs(counts))


def ten_rows(weights: NDArray[np.int8]) -> list[NDArray[np.int8]]:
    """The matrix, int8 (out, in), in blocks of ten rows; the last one is filled with zeros."""
    fives = row_blocks(weights)
    if len(fives) % 2:
        fives.append(np.zeros_like(fives[0]))
    return [np.concatenate(pair) for pair in zip(fives[::2], fives[1::2], strict=True)]


def encode(weights: NDArray[np.int8]) -> Block:
    """One block, int8 (10, inputs)."""
    first, second = (trits.encode(rows) for rows in np.split(weights, 2))
    plain = np.stack([np.arange(len(PATTERNS)), np.zeros(len(PATTERNS), np.int64)])
    parts = np.concatenate([plain, second.pairs.T.astype(np.int64)], axis=1)[:, second.codes]
    codes = np.stack([first.codes.astype(np.int64), parts[0]])
    heavy = parts[1] != 0
    late, numbers = np.unique(
        np.stack([parts[1], codes[0]])[:, heavy].T, axis=0, return_inverse=True
    )
    codes[0, heavy] = len(PATTERNS) + len(first.pairs) + numbers.ravel()
    return Block(codes, first.pairs.astype(np.int64), late.reshape(-1, 2))


def decode(block: Block) -> NDArray[np.int8]:
    """The block back, int8 (10, inputs)."""
    patterns = np.array(PATTERNS, np.int8)
    first, other = block.without_late()
    known = np.concatenate([patterns, patterns[block.pairs].sum(axis=1, dtype=np.int8)])
    second = patterns[block.codes[1]] + patterns[other]
    both: NDArray[np.int8] = np.concatenate([known[first], second], axis=1).T
    return both
