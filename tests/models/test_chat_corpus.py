"""The project's own chat data: the grammar's notation, and what the generator promises."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

from models import tasks
from models.chat.corpus import CHARSET, generate, people, world
from models.chat.corpus.grammar import Intent, expand, parse_tables, parse_topics
from models.chat.pairs import Pair, ambiguous_queries, unique_queries
from models.chat.protocols import ChatTask

INTENTS = parse_topics(people.TOPICS | world.TOPICS)


@pytest.fixture(scope="module")
def pairs() -> tuple[Pair, ...]:
    return generate()


def test_topics_are_lines_of_replies_and_patterns() -> None:
    text = "\n  HEADS / TAILS: toss (a|the) coin; flip it\n\n  OK: is it 5: so\n"
    assert parse_topics({"games": text}) == (
        Intent("games", ("HEADS", "TAILS"), ("toss (a|the) coin", "flip it")),
        Intent("games", ("OK",), ("is it 5: so",)),
    )


def test_a_sentence_by_hand() -> None:
    draws = iter([1, 0, 2, 1])
    intent = Intent("t", ("IT SAYS {s}",), ("unused", "(what|how) (a|b|) does {s}  and {s}"))
    sentence = expand(intent, parse_tables({"s": "cat MEOW dog WOOF"}), lambda _: next(draws))
    assert sentence.query == "what does dog and dog"
    assert sentence.replies == ("IT SAYS WOOF",)


def test_the_grammar_is_sound() -> None:
    tables = parse_tables(world.TABLES)
    for intent in INTENTS:
        for pattern in intent.patterns:
            flat = re.sub(r"\(([^()]*)\)", "", pattern)
            assert not set("()|") & set(flat), pattern
            used = set(re.findall(r"{(\w+)}", pattern))
            assert used <= set(tables)
            for reply in intent.replies:
                assert set(re.findall(r"{(\w+)}", reply)) <= used
    for name, rows in tables.items():
        assert len({word for word, _ in rows}) == len(rows), name


def test_the_same_bytes_on_every_machine(pairs: tuple[Pair, ...]) -> None:
    text = "".join(f"{pair.query}|{pair.reply}\n" for pair in pairs)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "81ebdec16f24b2bc"
    assert generate() == pairs
    assert generate(seed=8) != pairs


def test_there_is_enough_and_no_pair_twice(pairs: tuple[Pair, ...]) -> None:
    assert len(pairs) == len(set(pairs)) == 3200
    assert len(people.TOPICS | world.TOPICS) == len(people.TOPICS) + len(world.TOPICS) >= 10
    assert len(INTENTS) >= 100


def test_queries_and_replies_are_as_the_encoders_take_them(pairs: tuple[Pair, ...]) -> None:
    for pair in pairs:
        assert pair.query == pair.query.upper()
        assert pair.query.isascii()
        assert 2 <= len(pair.query) <= 60
        assert 1 <= len(pair.reply.split()) <= 3
    assert len(CHARSET) == len(set(CHARSET)) == 40
    assert set("".join(pair.reply for pair in pairs)) == set(CHARSET[:-1])


def test_ambiguous_queries_are_rare(pairs: tuple[Pair, ...]) -> None:
    ambiguous, every = ambiguous_queries(pairs), unique_queries(pairs)
    assert (len(ambiguous), len(every)) == (31, 3169)
    for query in ambiguous:
        replies = {pair.reply for pair in pairs if pair.query == query}
        assert any(replies == set(intent.replies) for intent in INTENTS)


def test_no_reply_rules(pairs: tuple[Pair, ...]) -> None:
    _, counts = np.unique([pair.reply for pair in pairs], return_counts=True)
    assert len(counts) >= 100
    assert counts.max() / len(pairs) < 0.15


def test_more_than_the_grammar_gives_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.chat.corpus.generator._MOST_ROUNDS", 2)
    with pytest.raises(ValueError, match="the grammar gives no 1,000 pairs"):
        generate(count=1000)
    assert len(generate(count=100)) == 100


def test_the_tasks() -> None:
    task = tasks.load_task("chat-a")
    assert isinstance(task, ChatTask)
    assert len({pair.query for pair in task.validation_pairs}) == 475
    assert (len(task.train.labels), len(task.validation.labels)) == (14764, 2582)
    everything = tasks.load_task("chat-b")
    assert len(everything.train.labels) == len(everything.validation.labels) == 17346
