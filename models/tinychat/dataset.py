"""The chat data: pairs of query and reply, one `query|reply` a line."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelFileError
from models.files import read_gzip_text
from models.tinychat import encoder

FILE = "training-data.txt.gz"
MAX_CHARACTERS = 200_000
_SHORTEST_QUERY = 2
_QUERY_LIMIT, _REPLY_LIMIT = 60, 50
_LAST_WORD = 20


@dataclass(frozen=True, slots=True)
class Pair:
    """An example: upper-case query and reply."""

    query: str
    reply: str


@dataclass(frozen=True, eq=False, slots=True)
class TeacherForced:
    """Every character of every reply, end included, each after the right characters before it.

    inputs: uint8 (n, 256) counts. labels: int64 (n,), indices in the charset.
    pairs: int64 (n,), the pair that a character belongs to.
    """

    inputs: NDArray[np.uint8]
    labels: NDArray[np.int64]
    pairs: NDArray[np.int64]


def parse_line(line: str) -> Pair | None:
    """The pair on a line; None where there is none, as on comments and empty lines."""
    query, bar, reply = line.strip().partition("|")
    query, reply = query.strip().upper(), reply.strip().upper()
    if not bar or len(query) < _SHORTEST_QUERY or not reply:
        return None
    return Pair(_cut(query, _QUERY_LIMIT), _cut(reply, _REPLY_LIMIT))


def read_pairs(path: Path, charset: str) -> tuple[Pair, ...]:
    """Every pair of a gzip file, in order.

    Raises ModelFileError where the file is damaged, holds no pair or too much text, or where a
    reply has a character that is not in `charset` (whose last one ends a reply).
    """
    pairs, characters = [], 0
    for number, line in enumerate(read_gzip_text(path).split("\n"), start=1):
        pair = parse_line(line)
        if pair is None:
            continue
        strange = set(pair.reply) - set(charset[:-1])
        if strange or not pair.query.isascii():
            problem = f"reply has {min(strange)!r}" if strange else "query is not ASCII"
            raise ModelFileError(path, f"line {number}", f"{problem}, unknown to the model")
        pairs.append(pair)
        characters += len(pair.reply) + 1
        if characters > MAX_CHARACTERS:
            raise ModelFileError(path, None, f"has more than {MAX_CHARACTERS:,} reply characters")
    if not pairs:
        raise ModelFileError(path, None, "holds no pair, expected lines of 'query|reply'")
    return tuple(pairs)


def unique_queries(pairs: tuple[Pair, ...]) -> tuple[str, ...]:
    """Each query once, in order of first appearance."""
    return tuple(dict.fromkeys(pair.query for pair in pairs))


def teacher_forced(pairs: tuple[Pair, ...], charset: str) -> TeacherForced:
    """The examples that accuracy is of."""
    lengths = [len(pair.reply) + 1 for pair in pairs]
    owners = np.repeat(np.arange(len(pairs)), lengths)
    queries = encoder.query_counts([pair.query for pair in pairs])[owners]
    contexts = np.concatenate([encoder.windows(pair.reply) for pair in pairs])
    index = {character: place for place, character in enumerate(charset)}
    labels = [index[character] for pair in pairs for character in pair.reply + charset[-1]]
    inputs = np.concatenate([queries, encoder.context_counts(contexts)], axis=1)
    return TeacherForced(inputs, np.array(labels, np.int64), owners)


def exact_share(examples: TeacherForced, predictions: NDArray[np.integer]) -> float:
    """The share of pairs whose every character is predicted, so that the reply is exact."""
    wrong = np.bincount(examples.pairs, predictions != examples.labels)
    return float(np.mean(wrong == 0))


def query_blind_accuracy(pairs: tuple[Pair, ...]) -> float:
    """What a table of reply prefixes that ignores the query reaches on the same characters."""
    following: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for pair in pairs:
        ended = pair.reply + "\0"
        for place, character in enumerate(ended):
            following[ended[:place]][character] += 1
    right = sum(max(counter.values()) for counter in following.values())
    return right / sum(counter.total() for counter in following.values())


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, cut at a space where one is among the last 20."""
    if len(text) <= limit:
        return text
    kept = text[:limit]
    return kept.rsplit(" ", 1)[0] if " " in kept[-_LAST_WORD:] else kept
