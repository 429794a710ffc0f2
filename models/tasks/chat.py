"""chat-a, chat-b, chat-b-words: the project's own chat data under protocols A and B."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from models.chat.corpus import CHARSET, generate
from models.chat.encoder import query_and_word_counts
from models.chat.pairs import Pair
from models.chat.protocols import ChatTask, Protocol, chat_task
from models.tasks.registry import register_task


@register_task("chat-a", "a lighthouse robot's small talk, split by query")
def load_a(_: Path) -> ChatTask:
    """Split by unique query, 85/15."""
    return chat_task("chat-a", _pairs(), CHARSET, Protocol.A)


@register_task("chat-b", "a lighthouse robot's small talk, all for both sides")
def load_b(_: Path) -> ChatTask:
    """Trained and scored on all pairs."""
    return chat_task("chat-b", _pairs(), CHARSET, Protocol.B)


@register_task("chat-b-words", "a lighthouse robot's small talk, words counted too, all for both")
def load_b_words(_: Path) -> ChatTask:
    """As chat-b, with 128 more buckets for the words of the query."""
    return chat_task("chat-b-words", _pairs(), CHARSET, Protocol.B, query_and_word_counts)


@cache
def _pairs() -> tuple[Pair, ...]:
    return generate()
