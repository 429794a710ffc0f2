"""What a network must beat: simple predictors, trained and judged on the same task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.chat.pairs import Pair, TeacherForced, exact_share
from models.chat.protocols import ChatTask
from models.evaluation.candidates import Candidate
from models.evaluation.metrics import perplexity
from models.evaluation.report import Scores
from models.evaluation.score import score_candidate
from models.evaluation.text_baselines import NearestQueries, ReplyTable
from models.model import accuracy
from models.task import Examples, Task

TextPredictor = Callable[[Sequence[Pair]], NDArray[np.float64]]
"""Pairs to probabilities of each character of their replies, float64 (characters, classes)."""

MOST_VALUES = 15_000_000
"""Input values that a linear model or a tree is trained on; of CIFAR-10, the first 4,882 images."""

TREE_SEED = 0
_MOST_STEPS = 1000
_CHAT_STRENGTH, _IMAGE_STRENGTH = 10.0, 1.0
_IMPOSSIBLE = -20.0


@lru_cache(maxsize=8)
def baselines(task: Task) -> tuple[Scores, ...]:
    """The scores of the task's baselines; computed once per task object.

    Chat: a table that ignores the query, nearest queries, logistic regression on the counts.
    Otherwise: logistic regression and a decision tree.
    """
    if isinstance(task, ChatTask):
        table = ReplyTable(task.train_pairs, task.charset)
        nearest = NearestQueries(task.train_pairs, task.charset)
        return (
            text_scores("reply table, ignores the query", table.probabilities, task),
            text_scores("nearest queries, tf-idf", nearest.probabilities, task),
            score_candidate(linear(task, _CHAT_STRENGTH), task),
        )
    return score_candidate(linear(task, _IMAGE_STRENGTH), task), tree_scores(task)


def text_scores(name: str, probabilities: TextPredictor, task: ChatTask) -> Scores:
    """The scores of what reads queries and beginnings of replies as text.

    Exact replies are counted teacher-forced: where each first choice is right, the free-running
    reply is the same, and where one is wrong, it differs.
    """
    chances = probabilities(task.validation_pairs)
    labels = task.validation.labels
    choices = chances.argmax(axis=1)
    examples = TeacherForced(task.validation.inputs, labels, task.validation_owners)
    return Scores(
        name,
        task.protocol,
        len(labels),
        accuracy(choices, labels),
        perplexity(np.log(chances), labels),
        exact_share(examples, choices),
    )


def linear(task: Task, strength: float) -> Candidate:
    """scikit-learn's logistic regression on inputs divided by their largest value.

    strength: the inverse of its regularization; that of chat was chosen on a slice of tinychat's
    training queries.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow to import

    train = _limited(task.train)
    peak = float(max(1, train.inputs.max()))
    regression = LogisticRegression(C=strength, max_iter=_MOST_STEPS)
    with threadpool_limits(1):  # the order of additions depends on the number of threads
        regression.fit(train.inputs / peak, train.labels)

    def logits(inputs: NDArray[np.uint8]) -> NDArray[Any]:
        every = np.full((len(inputs), task.classes), _IMPOSSIBLE)
        every[:, regression.classes_] = regression.predict_log_proba(inputs / peak)
        return every

    return Candidate("logistic regression", logits)


def tree_scores(task: Task) -> Scores:
    """scikit-learn's decision tree, grown in full; it gives no probabilities worth a perplexity."""
    from sklearn.tree import DecisionTreeClassifier  # noqa: PLC0415 - slow to import

    train, validation = _limited(task.train), task.validation
    tree = DecisionTreeClassifier(random_state=TREE_SEED)
    tree.fit(train.inputs, train.labels)
    right = accuracy(tree.predict(validation.inputs), validation.labels)
    return Scores("decision tree", task.protocol, len(validation.labels), right)


def _limited(examples: Examples) -> Examples:
    count = MOST_VALUES // examples.inputs.shape[1]
    return Examples(examples.inputs[:count], examples.labels[:count])
