"""From text to the network's counts: 128 buckets of the query, 128 of the reply so far.

A network may have 128 more for the query's words, between these two. Characters are ASCII codes. A
hash starts at a seed and takes h = (h * 31 + code) mod 2**16 for each character; its lowest 7 bits
name the bucket whose count grows by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from models.errors import InputRefused

BUCKETS = 128
INPUTS = 2 * BUCKETS
CONTEXT = 8
CONTEXT_GRAMS = sum(CONTEXT + 1 - n for n in (1, 2, 3))
MAX_COUNT = 255
_POSITION_STEP = 7
_SPACE = ord(" ")


QueryEncoder = Callable[[Sequence[str]], NDArray[np.uint8]]
"""Queries to counts, uint8 (n, buckets); InputRefused for one that cannot be encoded."""


def hash16(grams: NDArray[np.int64], seed: NDArray[np.int64] | int = 0) -> NDArray[np.int64]:
    """The hash of each n-gram, codes (..., n) to int64 (...)."""
    h = np.zeros(grams.shape[:-1], np.int64) + seed
    for place in range(grams.shape[-1]):
        h = (h * 31 + grams[..., place]) & 0xFFFF
    return h


def query_counts(queries: Sequence[str]) -> NDArray[np.uint8]:
    """Trigram counts of each query, uint8 (n, 128).

    Raises InputRefused for a character outside ASCII, and where a bucket would count beyond 255
    (no query of at most 255 characters can).
    """
    texts = [_lowered(query.lstrip(" ")) for query in queries]
    trigrams = [
        _runs(np.frombuffer(f" {text} ".encode("ascii"), np.uint8), 3) for text in texts if text
    ]
    lengths = [len(text) for text in texts]  # a text of n characters has n trigrams
    grams = np.concatenate([np.empty((0, 3), np.uint8), *trigrams]).astype(np.int64)
    rows = np.repeat(np.arange(len(texts)), lengths)
    return _checked(_count(rows, hash16(grams), len(texts)), lengths)


def query_and_word_counts(queries: Sequence[str]) -> NDArray[np.uint8]:
    """Trigram counts of each query, then counts of its words, uint8 (n, 256).

    A word is what stands between spaces; all its characters are hashed. Raises InputRefused as
    `query_counts` does.
    """
    words = [_lowered(query).split() for query in queries]
    rows = np.repeat(np.arange(len(queries)), [len(found) for found in words])
    hashes = [int(hash16(_codes(word))) for found in words for word in found]
    counts = _count(rows, np.array(hashes, np.int64), len(queries))
    of_words = _checked(counts, [len(query) for query in queries])
    return np.concatenate([query_counts(queries), of_words], axis=1)


def windows(reply: str) -> NDArray[np.uint8]:
    """The contexts before each character of a reply and after the last, uint8 (len + 1, 8).

    A context is the last 8 characters, lower-cased, left-padded with spaces.
    """
    codes = np.frombuffer((" " * CONTEXT + _lowered(reply)).encode("ascii"), np.uint8)
    return _runs(codes, CONTEXT)


def context_counts(contexts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Counts of the 21 n-grams of each context, codes (n, 8) to uint8 (n, 128)."""
    codes = contexts.astype(np.int64)
    buckets = []
    for n in (1, 2, 3):
        grams = sliding_window_view(codes, n, axis=1)  # (n, places, n)
        buckets.append(hash16(grams, _POSITION_STEP * np.arange(grams.shape[1])))
    hashes = np.concatenate(buckets, axis=1)
    rows = np.repeat(np.arange(len(codes)), hashes.shape[1])
    return _count(rows, hashes.reshape(-1), len(codes)).astype(np.uint8)


def empty_contexts(count: int) -> NDArray[np.uint8]:
    """The contexts, uint8 (count, 8), of replies that have not begun."""
    return np.full((count, CONTEXT), _SPACE, np.uint8)


def _count(rows: NDArray[np.int64], hashes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    cells = rows * BUCKETS + (hashes & (BUCKETS - 1))
    return np.bincount(cells, minlength=count * BUCKETS).reshape(count, BUCKETS)


def _checked(counts: NDArray[np.int64], lengths: Sequence[int]) -> NDArray[np.uint8]:
    """Counts as bytes; InputRefused, which names its query's length, for one beyond 255."""
    full = np.flatnonzero(counts.max(axis=1, initial=0) > MAX_COUNT)
    if full.size:
        length = lengths[full[0]]
        raise InputRefused(
            f"a query of {length} characters counts one bucket beyond {MAX_COUNT}; shorten it"
        )
    return counts.astype(np.uint8)


def _runs(codes: NDArray[np.uint8], length: int) -> NDArray[np.uint8]:
    """Every so many codes in a row, uint8 (n - length + 1, length), for few codes."""
    starts = np.arange(len(codes) - length + 1)
    runs: NDArray[np.uint8] = codes[starts[:, np.newaxis] + np.arange(length)]
    return runs


def _codes(text: str) -> NDArray[np.int64]:
    return np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64)


def _lowered(text: str) -> str:
    """Lower case of A-Z; InputRefused where a character is not ASCII."""
    if not text.isascii():
        strange = next(character for character in text if not character.isascii())
        raise InputRefused(f"the text has {strange!r}; the network reads ASCII only")
    return text.lower()
