"""Varied queries: words dropped or swapped, and typos, so that a network meets new spellings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

AUGMENTED_SHARE = 0.7
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def vary(
    queries: Sequence[str], rng: np.random.Generator, share: float = AUGMENTED_SHARE
) -> list[str]:
    """The queries, about `share` of them changed in one way each; none becomes empty.

    The ways are a word dropped, two neighbouring words swapped, and a letter dropped, doubled,
    replaced or swapped with the next. A query of a single word only gets typos.
    """
    chosen = rng.random(len(queries)) < share
    ways = rng.integers(len(_WORD_WAYS) + len(_LETTER_WAYS), size=len(queries))
    places = rng.random((len(queries), 2))
    return [
        _varied(query, way, place, extra) if change else query
        for query, change, way, (place, extra) in zip(
            queries, chosen.tolist(), ways.tolist(), places.tolist(), strict=True
        )
    ]


def _varied(query: str, way: int, place: float, extra: float) -> str:
    words = query.split()
    if way < len(_WORD_WAYS) and len(words) > 1:
        changed = " ".join(_WORD_WAYS[way](words, place))
    else:
        changed = _LETTER_WAYS[way % len(_LETTER_WAYS)](query, int(place * len(query)), extra)
    return changed if changed.strip() else query


def _without_word(words: list[str], place: float) -> list[str]:
    at = int(place * len(words))
    return words[:at] + words[at + 1 :]


def _swapped_words(words: list[str], place: float) -> list[str]:
    at = int(place * (len(words) - 1))
    return [*words[:at], words[at + 1], words[at], *words[at + 2 :]]


def _without_letter(text: str, at: int, _: float) -> str:
    return text[:at] + text[at + 1 :]


def _doubled_letter(text: str, at: int, _: float) -> str:
    return text[: at + 1] + text[at:]


def _replaced_letter(text: str, at: int, extra: float) -> str:
    return text[:at] + _LETTERS[int(extra * len(_LETTERS))] + text[at + 1 :]


def _swapped_letters(text: str, at: int, _: float) -> str:
    return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]


_WORD_WAYS: tuple[Callable[[list[str], float], list[str]], ...] = (_without_word, _swapped_words)
_LETTER_WAYS: tuple[Callable[[str, int, float], str], ...] = (
    _without_letter,
    _doubled_letter,
    _replaced_letter,
    _swapped_letters,
)
