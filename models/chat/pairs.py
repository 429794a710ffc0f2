"""Pairs of query and reply, and the characters of replies as examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.chat import encoder
from models.chat.encoder import QueryEncoder


@dataclass(frozen=True, slots=True)
class Pair:
    """An example: upper-case query and reply."""

    query: str
    reply: str


@dataclass(frozen=True, eq=False, slots=True)
class TeacherForced:
    """Every character of every reply, end included, each after the right characters before it.

    inputs: uint8 (n, buckets), counts. labels: int64 (n,), indices in the charset.
    pairs: int64 (n,), the pair that a character belongs to.
    """

    inputs: NDArray[np.uint8]
    labels: NDArray[np.int64]
    pairs: NDArray[np.int64]


def unique_queries(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Each query once, in order of first appearance."""
    return tuple(dict.fromkeys(pair.query for pair in pairs))


def ambiguous_queries(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Queries with more than one reply, in order of first appearance."""
    replies: dict[str, set[str]] = {}
    for pair in pairs:
        replies.setdefault(pair.query, set()).add(pair.reply)
    return tuple(query for query, found in replies.items() if len(found) > 1)


def teacher_forced(
    pairs: Sequence[Pair], charset: str, encode: QueryEncoder = encoder.query_counts
) -> TeacherForced:
    """The examples that accuracy is of; `charset` ends with the character that ends a reply."""
    lengths = [len(pair.reply) + 1 for pair in pairs]
    owners = np.repeat(np.arange(len(pairs)), lengths)
    queries = encode([pair.query for pair in pairs])[owners]
    contexts = np.concatenate([encoder.windows(pair.reply) for pair in pairs])
    index = {character: place for place, character in enumerate(charset)}
    labels = [index[character] for pair in pairs for character in pair.reply + charset[-1]]
    inputs = np.concatenate([queries, encoder.context_counts(contexts)], axis=1)
    return TeacherForced(inputs, np.array(labels, np.int64), owners)


def exact_share(examples: TeacherForced, predictions: NDArray[np.integer]) -> float:
    """The share of pairs whose every character is predicted, so that the reply is exact."""
    wrong = np.bincount(examples.pairs, predictions != examples.labels)
    return float(np.mean(wrong == 0))
