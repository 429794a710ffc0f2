"""trits: five outputs' weights of one input in a byte, for weights of -1, 0 and 1 and a few of +-2.

A block is five outputs, and the weights that an input has there are a pattern. The 211 patterns of
{-1, 0, 1} with a zero in them have codes of their own. Any other, of five nonzeros or with a weight
of +-2, is the sum of two of these; each block has room for 34 such pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kernels.dtypes import DType
from kernels.encodings import outside, reads_bytes
from kernels.grouping import Grouping

NAME = "trits"
RANK = 3
BLOCK = 5
HELD = range(-2, 3)
ACCUMULATOR_BITS = 24

Pattern = tuple[int, ...]

PATTERNS: tuple[Pattern, ...] = tuple(
    sorted((p for p in product((0, 1, -1), repeat=BLOCK) if 0 in p), key=np.count_nonzero)
)
PAIRS = 34  # a kernel may need the 11 codes that are left
PAIR_COST, ZERO_COST = 45, -2  # cycles more than of other patterns

_CODES = {pattern: code for code, pattern in enumerate(PATTERNS)}


@dataclass(frozen=True, eq=False, slots=True)
class Block:
    """Five outputs. codes: uint8 (inputs,), those from 211 on are pairs: uint8 (n <= 34, 2)."""

    codes: NDArray[np.uint8]
    pairs: NDArray[np.uint8]


def problem(weights: NDArray[np.int8], accumulator_bits: int, source: DType) -> str | None:
    """Weights are in {-2..2}, most of them in {-1..1}; accumulators have at most three bytes."""
    if accumulator_bits > ACCUMULATOR_BITS:
        return f"has accumulators of at most {ACCUMULATOR_BITS} bits"
    found = outside(weights, HELD) or reads_bytes(source)
    if found:
        return found
    sums = [_sums(rows) for rows in row_blocks(weights)]
    most = max(len(patterns) for patterns in sums)
    if most > PAIRS:
        return f"holds {PAIRS} patterns of +-2 or no zero for {BLOCK} outputs, not {most}"
    heavy = [p for patterns in sums for p in patterns if not _CODES.keys() >= {*_halves(p)}]
    return f"cannot hold {heavy[0]} for {BLOCK} outputs" if heavy else None


def row_blocks(weights: NDArray[np.int8]) -> list[NDArray[np.int8]]:
    """The matrix, int8 (out, in), in blocks of five rows; the last one is filled with zeros."""
    padded = np.zeros((-(-len(weights) // BLOCK) * BLOCK, weights.shape[1]), np.int8)
    padded[: len(weights)] = weights
    return list(padded.reshape(-1, BLOCK, weights.shape[1]))


def encode(weights: NDArray[np.int8]) -> Block:
    """One block, int8 (5, inputs)."""
    sums = _sums(weights)
    codes = _CODES | {pattern: len(PATTERNS) + n for n, pattern in enumerate(sums)}
    pairs = [[_CODES[part] for part in _halves(pattern)] for pattern in sums]
    return Block(
        np.array([codes[pattern] for pattern in _patterns(weights)], np.uint8),
        np.array(pairs, np.uint8).reshape(-1, 2),
    )


def decode(block: Block) -> NDArray[np.int8]:
    """The block back, int8 (5, inputs)."""
    plain = np.array(PATTERNS, np.int8)
    known = np.concatenate([plain, plain[block.pairs[:, 0]] + plain[block.pairs[:, 1]]])
    weights: NDArray[np.int8] = known[block.codes].T
    return weights


def grouping(weights: NDArray[np.int8]) -> Grouping:
    """A pattern that is a sum of two costs much more than others, one of zeros a little less."""
    return Grouping(BLOCK, np.minimum(np.abs(weights), 2).astype(np.uint8), 3, pattern_costs)


def pattern_costs(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """What patterns of so many zeros, ones and twos cost, counts being int64 (3, ...)."""
    pair = (counts[0] == 0) | (counts[2] > 0)
    return np.where(pair, PAIR_COST, np.where(counts[0] == BLOCK, ZERO_COST, 0))


def _patterns(weights: NDArray[np.int8]) -> list[Pattern]:
    return [tuple(column) for column in weights.T.tolist()]


def _sums(weights: NDArray[np.int8]) -> list[Pattern]:
    """The different patterns of a block that have no code of their own."""
    return sorted(set(_patterns(weights)) - _CODES.keys())


def _halves(pattern: Pattern) -> tuple[Pattern, Pattern]:
    """Two patterns of {-1, 0, 1} that add up to this one, its ones dealt out by turns."""
    halves: tuple[list[int], list[int]] = ([], [])
    turn = 0
    for weight in pattern:
        for half in halves:
            half.append(weight // 2)
        if weight % 2:
            halves[turn][-1], halves[1 - turn][-1] = weight, 0
            turn = 1 - turn
    return tuple(halves[0]), tuple(halves[1])
