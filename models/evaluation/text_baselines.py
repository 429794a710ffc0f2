"""Baselines of chat that read text, not counts: a table that ignores the query, and neighbours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from models.chat.encoder import CONTEXT
from models.chat.pairs import Pair

SMOOTHING = 0.01
NEIGHBOUR_POWER = 4
TABLE_WEIGHT = 0.1
_BLOCK = 256


class ReplyTable:
    """How often each character follows each beginning of a reply, whatever the query.

    A beginning that training never had falls back to the longest of its endings, of at most 8
    characters, that it had. Each count grows by 0.01, so that nothing is impossible.
    """

    def __init__(self, pairs: Sequence[Pair], charset: str) -> None:
        self._charset = charset
        index = {character: place for place, character in enumerate(charset)}
        counts: defaultdict[tuple[bool, str], NDArray[np.float64]] = defaultdict(
            lambda: np.full(len(charset), SMOOTHING)
        )
        for pair in pairs:
            for beginning, character in _steps(pair, charset):
                for context in _contexts(beginning):
                    counts[context][index[character]] += 1
        self._counts = dict(counts)

    def after(self, beginning: str) -> NDArray[np.float64]:
        """Probabilities of the next character, float64 (classes,)."""
        context = next(context for context in _contexts(beginning) if context in self._counts)
        counts = self._counts[context]
        chances: NDArray[np.float64] = counts / counts.sum()
        return chances

    def probabilities(self, pairs: Sequence[Pair]) -> NDArray[np.float64]:
        """Those of each character of the pairs' replies, ends included: (characters, classes)."""
        return np.array(
            [
                self.after(beginning)
                for pair in pairs
                for beginning, _ in _steps(pair, self._charset)
            ]
        )

    def accuracy(self, pairs: Sequence[Pair]) -> float:
        """The share of characters of the pairs' replies, ends included, that it predicts."""
        right = "".join(pair.reply + self._charset[-1] for pair in pairs)
        choices = self.probabilities(pairs).argmax(axis=1)
        return float(np.mean([self._charset[c] == r for c, r in zip(choices, right, strict=True)]))


class NearestQueries:
    """Every training pair votes for the character with which its reply goes on.

    A vote weighs as much as its query is like the new one: the cosine of tf-idf vectors of
    character 1- to 3-grams, to the 4th power. Pairs whose reply began otherwise do not vote; the
    reply table has 0.1 votes. These constants were chosen on a slice of tinychat's training
    queries.
    """

    def __init__(self, pairs: Sequence[Pair], charset: str) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - slow

        self._charset = charset
        self._table = ReplyTable(pairs, charset)
        self._vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(1, 3), sublinear_tf=True
        )
        self._known = self._vectorizer.fit_transform([pair.query for pair in pairs])
        voters: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, pair in enumerate(pairs):
            for beginning, character in _steps(pair, charset):
                voters[beginning].append((number, charset.index(character)))
        self._voters = {beginning: np.array(found).T for beginning, found in voters.items()}

    def probabilities(self, pairs: Sequence[Pair]) -> NDArray[np.float64]:
        """Those of each character of the pairs' replies, ends included: (characters, classes)."""
        blocks = [pairs[start : start + _BLOCK] for start in range(0, len(pairs), _BLOCK)]
        votes = np.array([row for block in blocks for row in self._block(block)])
        normal: NDArray[np.float64] = votes / votes.sum(axis=1, keepdims=True)
        return normal

    def _block(self, pairs: Sequence[Pair]) -> Iterator[NDArray[np.float64]]:
        queries = self._vectorizer.transform([pair.query for pair in pairs])
        likeness = (queries @ self._known.T).toarray() ** NEIGHBOUR_POWER  # (pairs, known pairs)
        for pair, weights in zip(pairs, likeness, strict=True):
            for beginning, _ in _steps(pair, self._charset):
                yield self._votes(weights, beginning)

    def _votes(self, weights: NDArray[np.float64], beginning: str) -> NDArray[np.float64]:
        votes = TABLE_WEIGHT * self._table.after(beginning)
        if beginning in self._voters:
            numbers, characters = self._voters[beginning]
            votes = votes + np.bincount(characters, weights[numbers], minlength=len(votes))
        return votes


def _steps(pair: Pair, charset: str) -> Iterator[tuple[str, str]]:
    """Each character of the reply, its end included, with what stands before it."""
    ended = pair.reply + charset[-1]
    return ((ended[:place], character) for place, character in enumerate(ended))


def _contexts(beginning: str) -> Iterator[tuple[bool, str]]:
    """The whole beginning (True), then its endings (False) from the longest to the empty one."""
    yield True, beginning
    for length in range(min(CONTEXT, len(beginning)), -1, -1):
        yield False, beginning[len(beginning) - length :]
