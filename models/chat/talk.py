"""How a network that predicts characters is talked with."""

from __future__ import annotations

from dataclasses import dataclass

from models.chat import encoder
from models.chat.encoder import QueryEncoder
from models.chat.replies import Predictor, Reply, replies


@dataclass(frozen=True, slots=True)
class Talk:
    """charset: the character of each class, the last one ends a reply. encode: for queries."""

    charset: str
    encode: QueryEncoder = encoder.query_counts

    def reply(self, query: str, predictor: Predictor) -> Reply:
        """The reply to a query; InputRefused for one that cannot be encoded."""
        (reply,) = replies(predictor, self.charset, [query], self.encode)
        return reply
