"""Protocols A and B: how pairs of query and reply become a task.

Protocol A splits by unique query, so that no query stands on both sides: what it measures is
generalization. Under protocol B a network is trained and scored on all pairs, as z80ai does: what
it measures is memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from models.chat import encoder
from models.chat.augmentation import vary
from models.chat.encoder import QueryEncoder
from models.chat.pairs import Pair, TeacherForced, teacher_forced
from models.task import Examples, Task

SPLIT_SEED = 1234
VALIDATION_SHARE = 0.15
FEWEST_QUERIES = 4
"""Of fewer unique queries, protocol A would hold none out."""


class Protocol(Enum):
    """The value is the text for tables."""

    A = "protocol A: by unique query, 85/15"
    B = "protocol B: trained and scored on all"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ChatTask(Task):
    """A task whose examples are the characters of replies, teacher-forced.

    charset: the character of each class; the last one ends a reply.
    train_pairs, validation_pairs: what `train` and `validation` are the characters of.
    train_owners, validation_owners: int64 (n,), the pair that each example belongs to.
    encode: how queries become counts; those of the reply so far follow.
    """

    charset: str
    train_pairs: tuple[Pair, ...]
    validation_pairs: tuple[Pair, ...]
    train_owners: NDArray[np.int64] = field(repr=False)
    validation_owners: NDArray[np.int64] = field(repr=False)
    encode: QueryEncoder = encoder.query_counts


def chat_task(
    name: str,
    pairs: Sequence[Pair],
    charset: str,
    protocol: Protocol,
    encode: QueryEncoder = encoder.query_counts,
) -> ChatTask:
    """The task of that name. Its `augmented` varies 70 % of the queries, each pair's once."""
    if protocol is Protocol.A:
        train_pairs, validation_pairs = split_by_query(pairs)
    else:
        train_pairs = validation_pairs = tuple(pairs)
    train = teacher_forced(train_pairs, charset, encode)
    validation = train
    if protocol is Protocol.A:
        validation = teacher_forced(validation_pairs, charset, encode)

    def augmented(rng: np.random.Generator) -> Examples:
        return augmented_examples(train_pairs, train, rng, encode)

    return ChatTask(
        name=name,
        protocol=protocol.value,
        classes=len(charset),
        train=_examples(train),
        validation=_examples(validation),
        augmented=augmented,
        charset=charset,
        train_pairs=train_pairs,
        validation_pairs=validation_pairs,
        train_owners=train.pairs,
        validation_owners=validation.pairs,
        encode=encode,
    )


def split_by_query(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs for training and for validation, in their order, split by unique query.

    The sorted unique queries are permuted by `numpy.random.RandomState(1234)`; the first
    `round(0.15 * n)` are validation.
    """
    queries = sorted({pair.query for pair in pairs})
    order = np.random.RandomState(SPLIT_SEED).permutation(len(queries))
    held_out = {queries[place] for place in order[: round(VALIDATION_SHARE * len(queries))]}
    train = tuple(pair for pair in pairs if pair.query not in held_out)
    validation = tuple(pair for pair in pairs if pair.query in held_out)
    return train, validation


def augmented_examples(
    pairs: Sequence[Pair],
    examples: TeacherForced,
    rng: np.random.Generator,
    encode: QueryEncoder = encoder.query_counts,
) -> Examples:
    """The examples of `pairs` with varied queries; contexts and labels are as they were."""
    inputs = examples.inputs.copy()
    queries = encode(vary([pair.query for pair in pairs], rng))
    inputs[:, : -encoder.BUCKETS] = queries[examples.pairs]
    return Examples(inputs, examples.labels)


def _examples(examples: TeacherForced) -> Examples:
    for array in (examples.inputs, examples.labels, examples.pairs):
        array.setflags(write=False)
    return Examples(examples.inputs, examples.labels)
