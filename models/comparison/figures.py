"""What is told of a checkpoint, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.chat.pairs import TeacherForced, exact_share
from models.chat.protocols import ChatTask
from models.compress.checkpoint import Checkpoint
from models.evaluation import graph_candidate, log_softmax, perplexity
from models.export import IntegerLayer
from models.task import Task

DRAWS = 1000
_BITS = (({-1, 1}, 1.0), ({-1, 0, 1}, 1.6), ({-2, -1, 0, 1}, 2.0), (set(range(-8, 8)), 4.0))
"""Levels, and the bits that each takes; five ternary levels share a byte."""
_INT16 = range(-(1 << 15), 1 << 15)


@dataclass(frozen=True, eq=False, slots=True)
class Figures:
    """Of one checkpoint, on the validation examples.

    sizes: units of the input and of each layer. size: bytes, see `packed_bytes`. trained,
    fake_quantized: accuracies as the checkpoint states them. right: bool (n,), where the integer
    graph predicts the label. exact: the share of replies that are right to their end; None where
    there are none.
    """

    title: str
    sizes: tuple[int, ...]
    size: int
    trained: float
    fake_quantized: float
    right: NDArray[np.bool_]
    perplexity: float
    exact: float | None

    @property
    def integer(self) -> float:
        """The integer graph's accuracy."""
        return float(self.right.mean())

    @property
    def export_loss(self) -> float:
        """By how much the integer graph's accuracy differs from the fake-quantized network's."""
        return abs(self.integer - self.fake_quantized)


def figures_of(stored: Checkpoint, task: Task) -> Figures:
    """Judge a checkpoint.

    Exact replies are counted teacher-forced: where each first choice is right, the free-running
    reply is the same, and where one is wrong, it differs.
    """
    candidate = graph_candidate(str(stored.recipe["name"]), stored.graph)
    logits = candidate.logits(task.validation.inputs)
    labels, choices = task.validation.labels, logits.argmax(axis=1)
    exact = None
    if isinstance(task, ChatTask):
        forced = TeacherForced(task.validation.inputs, labels, task.validation_owners)
        exact = exact_share(forced, choices)
    trained, fake, _ = stored.accuracies.values()
    return Figures(
        title=str(stored.recipe["title"]).partition(": ")[2],
        sizes=stored.sizes,
        size=sum(map(packed_bytes, stored.layers)),
        trained=trained,
        fake_quantized=fake,
        right=choices == labels,
        perplexity=perplexity(log_softmax(logits * (candidate.scale or 1.0)), labels),
        exact=exact,
    )


def packed_bytes(layer: IntegerLayer) -> int:
    """Bytes of a layer's parameters, packed plainly.

    Weights take as many bits as their levels need; biases 16 bits, or 32 where one needs more;
    multipliers, where there are some, 8 bits each. No kernel's layout is meant.
    """
    levels = set(np.unique(layer.levels).tolist())
    bits = next((bits for known, bits in _BITS if levels <= known), 8.0)
    wide = layer.bias.min() not in _INT16 or layer.bias.max() not in _INT16
    multipliers = len(layer.multiplier) if len(layer.multiplier) > 1 else 0
    return -int(-layer.levels.size * bits // 8) + len(layer.bias) * (4 if wide else 2) + multipliers


def sigma(right: Sequence[NDArray[np.bool_]], groups: NDArray[np.integer]) -> float:
    """The standard error of a mean accuracy, by bootstrap over groups of examples.

    right: per seed, bool (n,). groups: (n,), e.g. the query that a character belongs to, since
    characters of one reply are not independent.
    """
    _, members = np.unique(groups, return_inverse=True)
    hits = np.bincount(members, np.mean(right, axis=0))
    totals = np.bincount(members)
    draws = np.random.default_rng(0).multinomial(
        len(totals), [1 / len(totals)] * len(totals), DRAWS
    )
    return float(np.std((draws @ hits) / (draws @ totals)))


def groups_of(task: Task) -> NDArray[np.int64]:
    """What a bootstrap draws: queries of chat, else single examples; int64 (n,)."""
    if not isinstance(task, ChatTask):
        return np.arange(len(task.validation.labels))
    numbers: dict[str, int] = {}
    queries = [numbers.setdefault(pair.query, len(numbers)) for pair in task.validation_pairs]
    return np.array(queries, np.int64)[task.validation_owners]
