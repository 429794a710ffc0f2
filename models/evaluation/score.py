"""The figures of one candidate on one task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.chat.pairs import Pair, unique_queries
from models.chat.protocols import ChatTask
from models.chat.replies import replies
from models.evaluation.candidates import Candidate, Logits
from models.evaluation.metrics import fit_scale, log_softmax, perplexity
from models.evaluation.report import Scores
from models.model import accuracy
from models.task import Task


def score_candidate(candidate: Candidate, task: Task, reference: Logits | None = None) -> Scores:
    """Its scores on the validation examples; `reference` is what it is to agree with."""
    labels = task.validation.labels
    logits = candidate.logits(task.validation.inputs)
    choices = logits.argmax(axis=1)
    scale = candidate.scale
    if scale is None:
        scale = fit_scale(candidate.logits(task.train.inputs), task.train.labels)
    same = None
    if reference is not None:
        same = accuracy(choices, reference(task.validation.inputs).argmax(axis=1))
    exact = None
    if isinstance(task, ChatTask):
        queries = unique_queries(task.validation_pairs)
        said = dict(zip(queries, say(candidate, task, queries), strict=True))
        exact = exact_replies(said, task.validation_pairs)
    return Scores(
        candidate.name,
        task.protocol,
        len(labels),
        accuracy(choices, labels),
        perplexity(log_softmax(logits * scale), labels),
        exact,
        same,
        scale,
    )


def say(candidate: Candidate, task: ChatTask, queries: Sequence[str]) -> list[str]:
    """The candidate's free-running replies."""

    def choose(inputs: NDArray[np.uint8]) -> NDArray[np.int64]:
        choices: NDArray[np.int64] = candidate.logits(inputs).argmax(axis=1)
        return choices

    return [reply.text for reply in replies(choose, task.charset, queries, task.encode)]


def exact_replies(said: dict[str, str], pairs: Sequence[Pair]) -> float:
    """The share of pairs whose query got exactly their reply."""
    return float(np.mean([said[pair.query] == pair.reply for pair in pairs]))
