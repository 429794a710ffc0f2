"""Free-running replies: each character that the network gives is part of its next input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.chat import encoder
from models.chat.encoder import QueryEncoder

MAX_REPLY = 50


@dataclass(frozen=True, eq=False, slots=True)
class Reply:
    """A reply and what led to it.

    inputs: uint8 (steps, buckets), the counts of each inference, the one that ended the reply too.
    outputs: int64 (steps,), the index of the character that each gave.
    """

    query: str
    text: str
    inputs: NDArray[np.uint8]
    outputs: NDArray[np.int64]


Predictor = Callable[[NDArray[np.uint8]], NDArray[np.int64]]
"""Counts, uint8 (n, buckets), to indices of characters, int64 (n,)."""


def replies(
    predictor: Predictor,
    charset: str,
    queries: Sequence[str],
    encode: QueryEncoder = encoder.query_counts,
) -> list[Reply]:
    """Reply to each query by what predicts characters; all of them advance together.

    A reply ends at the charset's last character, which is not printed, or after 50.
    Raises InputRefused for a query that cannot be encoded.
    """
    end = len(charset) - 1
    codes = np.frombuffer(charset.lower().encode("ascii"), np.uint8)
    counts = encode(queries)
    contexts = encoder.empty_contexts(len(queries))
    inputs: list[list[NDArray[np.uint8]]] = [[] for _ in queries]
    outputs: list[list[int]] = [[] for _ in queries]
    open_ = np.arange(len(queries))
    for _ in range(MAX_REPLY):
        if not open_.size:
            break
        contextual = encoder.context_counts(contexts[open_])
        x = np.concatenate([counts[open_], contextual], axis=1)
        characters = predictor(x)
        for row, query in enumerate(open_):
            inputs[query].append(x[row])
            outputs[query].append(int(characters[row]))
        contexts[open_] = np.column_stack([contexts[open_, 1:], codes[characters]])
        open_ = open_[characters != end]
    return [
        Reply(
            query,
            "".join(charset[index] for index in steps if index != end),
            np.stack(rows),
            np.array(steps, np.int64),
        )
        for query, rows, steps in zip(queries, inputs, outputs, strict=True)
    ]
