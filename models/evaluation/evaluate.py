"""Candidates beside the baselines of their task."""

from __future__ import annotations

from collections.abc import Sequence

from models.chat.pairs import unique_queries
from models.chat.protocols import ChatTask
from models.evaluation.baselines import baselines
from models.evaluation.candidates import Candidate, Logits
from models.evaluation.report import Report, Sample
from models.evaluation.score import say, score_candidate
from models.task import Task


def evaluate(
    task: Task, candidates: Sequence[Candidate], reference: Logits | None = None, samples: int = 0
) -> Report:
    """Score candidates on the task's validation examples, with the task's baselines.

    reference: the float network that candidates are to agree with. samples: queries, the first
    ones of validation, for which each candidate's reply is shown; only for chat.
    """
    scores = tuple(score_candidate(candidate, task, reference) for candidate in candidates)
    shown: tuple[Sample, ...] = ()
    if isinstance(task, ChatTask):
        shown = tuple(found for each in candidates for found in sample(each, task, samples))
    return Report(task.name, task.protocol, scores, baselines(task), shown)


def sample(candidate: Candidate, task: ChatTask, count: int) -> list[Sample]:
    """The candidate's replies to the first queries of validation."""
    queries = unique_queries(task.validation_pairs)[:count]
    return [
        Sample(
            candidate.name,
            query,
            said,
            tuple(pair.reply for pair in task.validation_pairs if pair.query == query),
        )
        for query, said in zip(queries, say(candidate, task, queries), strict=True)
    ]
