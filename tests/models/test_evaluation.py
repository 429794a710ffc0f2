"""Metrics on cases worked out by hand, baselines on tiny data, and reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models import tasks
from models.chat.pairs import Pair, TeacherForced, exact_share
from models.chat.protocols import ChatTask, Protocol, chat_task
from models.digits import checkpoint
from models.digits.graph import build_graph
from models.evaluation import (
    Candidate,
    NearestQueries,
    ReplyTable,
    baselines,
    evaluate,
    fit_scale,
    graph_candidate,
    log_softmax,
    perplexity,
)
from models.evaluation.score import score_candidate
from models.model import predict
from models.task import Examples, Task

CHARSET = " ENOSY\0"
PAIRS = (
    Pair("IS GRASS GREEN", "YES"),
    Pair("IS SNOW GREEN", "NO"),
    Pair("IS A TREE GREEN", "YES"),
    Pair("IS COAL WHITE", "NO"),
    Pair("IS A TREE TALL", "YES"),
)


def words(count: int) -> tuple[Pair, ...]:
    return tuple(
        Pair(f"{'SUNNY' if n % 3 else 'RAINY'} DAY {n}", "YES" if n % 3 else "NO")
        for n in range(count)
    )


@pytest.fixture(scope="module")
def task() -> ChatTask:
    return chat_task("days", words(60), CHARSET, Protocol.A)


@pytest.fixture(scope="module")
def digits() -> Task:
    return tasks.load_task("digits")


def random_logits(inputs: NDArray[np.uint8]) -> NDArray[Any]:
    """Logits that depend on the inputs, whichever others they come with."""
    weights = np.random.default_rng(3).normal(size=(inputs.shape[1], len(CHARSET)))
    return inputs @ weights


def test_log_softmax_by_hand() -> None:
    found = np.exp(log_softmax(np.array([[0, 0], [1000, 0], [0, np.log(3)]])))
    assert found == pytest.approx(np.array([[0.5, 0.5], [1, 0], [0.25, 0.75]]))
    assert log_softmax(np.array([[-32768, 32767]], np.int16))[0, 0] == -65535


def test_perplexity_by_hand() -> None:
    chances = np.log([[0.5, 0.5], [0.125, 0.875]])
    assert perplexity(chances, np.array([0, 0])) == pytest.approx(4)  # sqrt(2 * 8)
    even = log_softmax(np.zeros((3, 40)))
    assert perplexity(even, np.array([0, 5, 39])) == pytest.approx(40)


def test_the_fitted_scale_by_hand() -> None:
    # Three of four labels follow the logit's sign: p = 3/4 where scale * 10 = log 3.
    logits = np.array([[10, 0], [10, 0], [0, 10], [10, 0]])
    assert fit_scale(logits, np.array([0, 0, 1, 1])) == pytest.approx(np.log(3) / 10)
    assert fit_scale(logits, np.array([0, 0, 1, 0])) == pytest.approx(1e4)
    assert fit_scale(logits, np.array([1, 1, 0, 1])) == pytest.approx(1e-8)


def test_no_other_scale_is_likelier() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.integers(-500, 500, (200, 5)), rng.integers(0, 5, 200)
    logits[np.arange(200), labels] += 400
    best = fit_scale(logits, labels)
    least = perplexity(log_softmax(logits * best), labels)
    for factor in (0.5, 0.9, 1.1, 2):
        assert perplexity(log_softmax(logits * best * factor), labels) > least


def test_the_reply_table_by_hand() -> None:
    table = ReplyTable(PAIRS[:3], CHARSET)
    first = table.after("")  # Y, N, Y, and 0.01 for each of the seven characters
    assert first[CHARSET.index("Y")] == pytest.approx(2.01 / 3.07)
    assert first[CHARSET.index("N")] == pytest.approx(1.01 / 3.07)
    assert table.after("YE").argmax() == CHARSET.index("S")
    # "SO" is no beginning; its ending "O" stood in "NO", before the end of the reply.
    assert table.after("SO").argmax() == CHARSET.index("\0")
    # Nothing ends in a space: what follows is as in all replies, E, N, O, S, Y and the end.
    assert table.after(" ").argmax() == CHARSET.index("\0")
    assert table.probabilities(PAIRS).shape == (18, 7)
    assert table.probabilities(PAIRS).sum(axis=1) == pytest.approx(1)


def test_the_reply_table_s_accuracy_by_hand() -> None:
    pairs = (Pair("AB", "YES"), Pair("CD", "YES"), Pair("EF", "NO"))
    # First characters: Y, Y, N, two of three right; the other 8 are certain.
    assert ReplyTable(pairs, CHARSET).accuracy(pairs) == pytest.approx(10 / 11)


def test_nearest_queries_by_hand() -> None:
    near = NearestQueries(PAIRS, CHARSET)
    asked = [Pair("IS GRAS GREEN", "YES"), Pair("IS COLA WHITE", "NO")]
    choices = near.probabilities(asked).argmax(axis=1)
    assert "".join(CHARSET[choice] for choice in choices) == "YES\0NO\0"
    strange = near.probabilities([Pair("12345", "NO")])  # like nothing: most replies decide
    assert "".join(CHARSET[choice] for choice in strange.argmax(axis=1)) == "YO\0"
    assert near.probabilities(PAIRS).sum(axis=1) == pytest.approx(1)


def test_the_baselines_of_chat(task: ChatTask) -> None:
    table, nearest, linear = baselines(task)
    assert baselines(task) is baselines(task)
    # Of 9 validation queries, 3 ask of rain or so; the table always says YES.
    wrong = sum(pair.reply == "NO" for pair in task.validation_pairs)
    assert table.exact == pytest.approx(1 - wrong / 9)
    assert table.accuracy == pytest.approx(1 - wrong / len(task.validation.labels))
    assert (nearest.accuracy, nearest.exact) == (1, 1)
    assert linear.exact is not None
    assert linear.accuracy > table.accuracy
    for scores in (table, nearest, linear):
        assert scores.protocol == task.protocol
        assert scores.examples == len(task.validation.labels)
        assert scores.perplexity is not None
        assert 1 <= scores.perplexity < len(CHARSET)


def test_a_label_that_training_lacks_costs_but_does_not_fail() -> None:
    examples = Examples(np.eye(4, dtype=np.uint8), np.array([0, 2, 0, 2]))
    other = Examples(np.eye(4, dtype=np.uint8), np.array([0, 2, 0, 1]))
    linear, tree = baselines(Task("tiny", "none", 3, examples, other))
    assert linear.accuracy == tree.accuracy == 0.75
    assert linear.perplexity is not None
    assert 10 < linear.perplexity < 1e6
    assert (tree.perplexity, tree.exact) == (None, None)


def test_the_baselines_of_digits(digits: Task) -> None:
    linear, tree = baselines(digits)
    assert linear.accuracy == pytest.approx(checkpoint.load().accuracies.linear)
    assert 0.8 < tree.accuracy < 0.92


def test_exact_replies_are_the_same_free_running_and_teacher_forced(task: ChatTask) -> None:
    for logits in (random_logits, lambda x: 20.0 * _right(task, x)):
        scores = evaluate(task, [Candidate("c", logits)]).candidates[0]
        choices = logits(task.validation.inputs).argmax(axis=1)
        forced = TeacherForced(
            task.validation.inputs, task.validation.labels, task.validation_owners
        )
        assert scores.exact == exact_share(forced, choices)
        assert scores.accuracy == np.mean(choices == task.validation.labels)


def _right(task: ChatTask, inputs: NDArray[np.uint8]) -> NDArray[Any]:
    """One for the right character of inputs that the data has."""
    known = {
        row.tobytes(): label
        for row, label in zip(task.validation.inputs, task.validation.labels, strict=True)
    }
    logits = np.zeros((len(inputs), task.classes))
    for row, x in enumerate(inputs):
        logits[row, known.get(x.tobytes(), 0)] = 1
    return logits


def test_a_perfect_candidate_and_its_samples(task: ChatTask) -> None:
    report = evaluate(task, [Candidate("perfect", lambda x: 20.0 * _right(task, x))], samples=2)
    (scores,) = report.candidates
    assert (scores.accuracy, scores.exact) == (1, 1)
    assert scores.perplexity == pytest.approx(1, abs=1e-6)
    assert [sample.query for sample in report.samples] == [
        pair.query for pair in task.validation_pairs[:2]
    ]
    assert all(sample.expected == (sample.reply,) for sample in report.samples)
    text = report.text()
    assert text.startswith("days, protocol A: by unique query, 85/15; 32 examples\n")
    assert "perfect                           100.0%        1.00  100.0%\n" in text
    assert "reply table, ignores the query" in text


def test_agreement_is_of_first_choices() -> None:
    inputs = np.arange(4, dtype=np.uint8)[:, None]

    def low(x: NDArray[np.uint8]) -> NDArray[Any]:
        return np.hstack([2 - x.astype(int), x])

    def high(x: NDArray[np.uint8]) -> NDArray[Any]:
        return np.hstack([5 - 2 * x.astype(int), np.zeros_like(x)])

    # low: 0, 0 (a tie, 1 and 1), 1, 1; high: 0, 0, 0, 1
    examples = Examples(inputs, np.array([0, 0, 1, 1]))
    task = Task("tiny", "none", 2, examples, examples)
    scores = score_candidate(Candidate("low", low), task, reference=high)
    assert (scores.agreement, scores.accuracy) == (0.75, 1)
    assert score_candidate(Candidate("low", low), task).agreement is None


def test_a_graph_s_scale_is_the_stored_one(digits: Task) -> None:
    layers = checkpoint.load().layers
    graph = build_graph("digits", layers)
    candidate = graph_candidate("int8", graph)
    assert candidate.scale == layers[-1].scale
    found = candidate.logits(digits.validation.inputs).argmax(axis=1)
    assert np.array_equal(found, predict(graph, digits.validation.inputs))
    (scores,) = evaluate(digits, [candidate], reference=candidate.logits).candidates
    assert scores.accuracy == pytest.approx(checkpoint.load().accuracies.int8)
    assert (scores.agreement, scores.exact, scores.scale) == (1, None, layers[-1].scale)
    assert scores.perplexity is not None
    assert scores.perplexity < 1.3


def test_a_missing_scale_is_fitted_on_training_and_never_on_validation(task: ChatTask) -> None:
    (scores,) = evaluate(task, [Candidate("c", random_logits, None)]).candidates
    expected = fit_scale(random_logits(task.train.inputs), task.train.labels)
    assert scores.scale == pytest.approx(expected)
    fitted = log_softmax(random_logits(task.validation.inputs) * expected)
    assert scores.perplexity == pytest.approx(perplexity(fitted, task.validation.labels))


def test_an_unscaled_graph_has_its_scale_fitted() -> None:
    layers = checkpoint.load().layers
    graph = build_graph("digits", [*layers[:-1], replace(layers[-1], scale=1.0)])
    assert graph_candidate("int8", graph).scale is None
