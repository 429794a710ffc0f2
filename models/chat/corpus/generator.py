"""Pairs drawn from the grammar: paraphrases, words left out or added, and typos, from a seed."""

from __future__ import annotations

import numpy as np

from models.chat.corpus import people, world
from models.chat.corpus.grammar import Draw, expand, parse_tables, parse_topics
from models.chat.pairs import Pair

CHARSET = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789?!\0"
"""What replies are made of; the last character ends one."""

SEED = 7
PAIRS = 3200
SHORTEST_QUERY, LONGEST_QUERY = 2, 60
FILLER_PERCENT = 25
MOST_DROPPED, DROP_PERCENT, FEWEST_WORDS = 2, 40, 2
MOST_TYPOS, TYPO_PERCENT = 3, 30
AMBIGUOUS_PERCENT = 20
_MOST_ROUNDS = 500
_FILLERS = (
    *("so", "well", "hey", "please", "now", "look", "say", "um", "and", "oh", "but", "then"),
    *("robot", "keeper", "tell me"),
)


def generate(seed: int = SEED, count: int = PAIRS) -> tuple[Pair, ...]:
    """`count` pairs, the same ones for the same seed on every machine.

    No pair occurs twice. A query has several replies only where its intent has: a sentence that
    two intents share stays with the first that drew it.

    Raises ValueError for more pairs than the grammar readily gives.
    """
    # RandomState's stream is frozen; that of numpy's Generator may change between versions.
    state = np.random.RandomState(seed)

    def draw(alternatives: int) -> int:
        return int(state.randint(alternatives, dtype=np.int64))

    intents = parse_topics(people.TOPICS | world.TOPICS)
    tables = parse_tables(world.TABLES)
    pairs: dict[str, tuple[str, ...]] = {}
    for _ in range(_MOST_ROUNDS):
        for intent in intents:
            sentence = expand(intent, tables, draw)
            query = _varied(sentence.query, draw)
            if SHORTEST_QUERY <= len(query) <= LONGEST_QUERY:
                pairs.setdefault(query, _said(sentence.replies, draw))
        if sum(map(len, pairs.values())) >= count:
            break
    else:
        raise ValueError(f"the grammar gives no {count:,} pairs")
    flat = [Pair(query.upper(), reply) for query, replies in pairs.items() for reply in replies]
    return tuple(flat[:count])


def _said(replies: tuple[str, ...], draw: Draw) -> tuple[str, ...]:
    """All replies that fit, for some queries; else one of them."""
    if draw(100) < AMBIGUOUS_PERCENT:
        return replies
    return (replies[draw(len(replies))],)


def _varied(query: str, draw: Draw) -> str:
    """A query as a hurried visitor types it: words left out or added, letters mistaken."""
    words = query.split()
    for _ in range(MOST_DROPPED):
        if len(words) > FEWEST_WORDS and draw(100) < DROP_PERCENT:
            del words[draw(len(words))]
    if draw(100) < FILLER_PERCENT:
        words.insert(draw(2) * len(words), _FILLERS[draw(len(_FILLERS))])
    query = " ".join(words)
    for _ in range(MOST_TYPOS):
        if len(query) > SHORTEST_QUERY and draw(100) < TYPO_PERCENT:
            query = _typo(query, draw)
    return query


def _typo(query: str, draw: Draw) -> str:
    """A letter dropped, doubled, or swapped with the next."""
    at = draw(len(query) - 1)
    before, here, after = query[:at], query[at], query[at + 1 :]
    changed = (before + after, before + here + here + after, before + after[0] + here + after[1:])
    return " ".join(changed[draw(len(changed))].split())
