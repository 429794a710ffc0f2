"""tinychat-a, tinychat-b, tinychat-b-words: z80ai's chat data under protocols A and B."""

from __future__ import annotations

from pathlib import Path

from models.chat.encoder import QueryEncoder, query_and_word_counts, query_counts
from models.chat.pairs import unique_queries
from models.chat.protocols import FEWEST_QUERIES, ChatTask, Protocol, chat_task
from models.errors import ModelFileError
from models.registry import DataFolder
from models.tasks.registry import register_task
from models.tinychat import dataset, weights

DATA = DataFolder(f"z80ai's tinychat files {weights.FILE} and {dataset.FILE}", "TRUECYCLE_Z80AI")


@register_task("tinychat-a", "z80ai's chat data, split by query", DATA)
def load_a(folder: Path) -> ChatTask:
    """Split by unique query, 85/15."""
    return _load("tinychat-a", folder, Protocol.A)


@register_task("tinychat-b", "z80ai's chat data, all for both sides", DATA)
def load_b(folder: Path) -> ChatTask:
    """Trained and scored on all pairs."""
    return _load("tinychat-b", folder, Protocol.B)


@register_task("tinychat-b-words", "z80ai's chat data, words counted too, all for both", DATA)
def load_b_words(folder: Path) -> ChatTask:
    """As tinychat-b, with 128 more buckets for the words of the query."""
    return _load("tinychat-b-words", folder, Protocol.B, query_and_word_counts)


def _load(
    name: str, folder: Path, protocol: Protocol, encode: QueryEncoder = query_counts
) -> ChatTask:
    charset = weights.read_weights(folder / weights.FILE).charset
    path = folder / dataset.FILE
    pairs = dataset.read_pairs(path, charset)
    if len(unique_queries(pairs)) < FEWEST_QUERIES:
        raise ModelFileError(path, None, f"holds fewer than {FEWEST_QUERIES} queries to split")
    return chat_task(name, pairs, charset, protocol, encode)
