"""The grammar's notation, and drawing sentences from it.

A topic is lines of `REPLY / OTHER REPLY: pattern; pattern`. In a pattern, `(a|b|)` is one of its
alternatives, the last one here empty; groups do not nest. `{table}` is a word of that table, the
same all over the sentence, and in the reply the word's fact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_GROUP = re.compile(r"\(([^()]*)\)")
_TABLE = re.compile(r"\{(\w+)\}")


Draw = Callable[[int], int]
"""One of `count` alternatives, as a number in [0, count)."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What a visitor may mean: patterns of queries, and the replies that fit, the usual one first.

    topic: the name of the topic it belongs to.
    """

    topic: str
    replies: tuple[str, ...]
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A lower-case query and its upper-case replies."""

    query: str
    replies: tuple[str, ...]


def parse_topics(topics: Mapping[str, str]) -> tuple[Intent, ...]:
    """The intents of every topic; lines with the same reply are intents of their own."""
    intents = []
    for topic, text in topics.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            replies, _, patterns = line.partition(": ")
            intents.append(Intent(topic, tuple(replies.split(" / ")), tuple(patterns.split("; "))))
    return tuple(intents)


def parse_tables(tables: Mapping[str, str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """Each table as pairs of word and fact."""
    parsed = {}
    for name, text in tables.items():
        words = text.split()
        parsed[name] = tuple(zip(words[::2], words[1::2], strict=True))
    return parsed


def expand(
    intent: Intent, tables: Mapping[str, tuple[tuple[str, str], ...]], draw: Draw
) -> Sentence:
    """Draw a sentence of that intent."""
    pattern = intent.patterns[draw(len(intent.patterns))]
    text = _GROUP.sub(lambda group: _choice(group[1].split("|"), draw), pattern)
    replies = intent.replies
    for name in sorted({found[1] for found in _TABLE.finditer(text)}):
        word, fact = tables[name][draw(len(tables[name]))]
        text = text.replace(f"{{{name}}}", word)
        replies = tuple(reply.replace(f"{{{name}}}", fact) for reply in replies)
    return Sentence(" ".join(text.split()), replies)


def _choice(options: list[str], draw: Draw) -> str:
    return options[draw(len(options))]
