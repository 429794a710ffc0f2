"""tinychat's data file: pairs of query and reply, one `query|reply` a line."""

from __future__ import annotations

from pathlib import Path

from models.chat.pairs import Pair
from models.errors import ModelFileError
from models.files import read_gzip_text

FILE = "training-data.txt.gz"
MAX_CHARACTERS = 200_000
_SHORTEST_QUERY = 2
_QUERY_LIMIT, _REPLY_LIMIT = 60, 50
_LAST_WORD = 20


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


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, cut at a space where one is among the last 20."""
    if len(text) <= limit:
        return text
    kept = text[:limit]
    return kept.rsplit(" ", 1)[0] if " " in kept[-_LAST_WORD:] else kept
