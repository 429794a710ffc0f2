"""tinychat: z80ai's character-level chat network, read from files outside the project.

    chat = load_tinychat(folder)
    chat.replies(["hello"])[0].text
    chat.free_running(100)          inputs of the replies to the first 100 queries

The encoders, the network's arithmetic and the format of the files are those of the public project
HarryR/z80ai; where its builds deviate from its own reference, the reference is what holds here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kernels.ir import Graph
from models.chat import pairs as chat_pairs
from models.chat import replies as free_running
from models.chat.pairs import Pair, TeacherForced
from models.chat.replies import Predictor, Reply
from models.model import predict
from models.tinychat import dataset, weights
from models.tinychat.graph import build_graph
from models.tinychat.weights import Weights

__all__ = ["Pair", "Predictor", "Reply", "TeacherForced", "Tinychat", "Weights", "load_tinychat"]


@dataclass(frozen=True, eq=False)
class Tinychat:
    """The network, its charset and its data."""

    weights: Weights
    pairs: tuple[Pair, ...]

    @cached_property
    def graph(self) -> Graph:
        """The integer graph: counts uint8 (256,) in, the next character's index out."""
        return build_graph(self.weights)

    @cached_property
    def queries(self) -> tuple[str, ...]:
        """Each query of the data once, in order of first appearance."""
        return chat_pairs.unique_queries(self.pairs)

    @cached_property
    def teacher_forced(self) -> TeacherForced:
        """Every character of the data as an example."""
        return chat_pairs.teacher_forced(self.pairs, self.weights.charset)

    def replies(self, queries: Sequence[str], predictor: Predictor | None = None) -> list[Reply]:
        """Reply to queries, by the numpy reference or whatever else predicts characters.

        Raises InputRefused for a query that cannot be encoded.
        """
        by_reference = partial(predict, self.graph)
        return free_running.replies(predictor or by_reference, self.weights.charset, queries)

    def free_running(self, count: int) -> NDArray[np.uint8]:
        """All inputs, uint8 (n, 256), of the replies to the first `count` queries of the data."""
        return np.concatenate([reply.inputs for reply in self.replies(self.queries[:count])])


def load_tinychat(folder: Path) -> Tinychat:
    """Read `model.npz` and `training-data.txt.gz`; ModelFileError where one is not as expected."""
    parameters = weights.read_weights(folder / weights.FILE)
    return Tinychat(parameters, dataset.read_pairs(folder / dataset.FILE, parameters.charset))
