"""Figures of the real data, measured apart from this code; needs TRUECYCLE_Z80AI."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import models
from kernels import reference
from kernels.ops.linear import Linear
from models import tasks
from models.chat.pairs import ambiguous_queries, exact_share
from models.chat.protocols import ChatTask
from models.evaluation import baselines, graph_candidate
from models.evaluation.score import score_candidate
from models.tinychat import Tinychat, load_tinychat


@pytest.fixture(scope="module")
def chat() -> Tinychat:
    return load_tinychat(Path(os.environ["TRUECYCLE_Z80AI"]))


@pytest.fixture(scope="module")
def values(chat: Tinychat) -> reference.Values:
    return reference.run(chat.graph, chat.teacher_forced.inputs)


def linears(chat: Tinychat) -> list[Linear]:
    return [node for node in chat.graph.nodes if isinstance(node, Linear)]


def test_data(chat: Tinychat) -> None:
    assert len(chat.pairs) == 2990
    assert len(chat.queries) == 2280
    assert len(chat.teacher_forced.labels) == 14814
    assert len(ambiguous_queries(chat.pairs)) == 359


def test_accuracy(chat: Tinychat, values: reference.Values) -> None:
    predicted = values["character"][:, 0]
    assert round(models.accuracy(predicted, chat.teacher_forced.labels), 3) == 0.796
    assert round(exact_share(chat.teacher_forced, predicted), 3) == 0.370


def test_exact_replies_come_out_free_running(chat: Tinychat, values: reference.Values) -> None:
    said = {reply.query: reply.text for reply in chat.replies(chat.queries)}
    share = np.mean([said[pair.query] == pair.reply for pair in chat.pairs])
    exact = exact_share(chat.teacher_forced, values["character"][:, 0])
    assert share == pytest.approx(exact)


def test_layers(chat: Tinychat, values: reference.Values) -> None:
    found = []
    for node in linears(chat):
        x = values[node.inputs[0]]
        peak = int(x.max()) << node.input_shift
        largest = int(np.abs(node.accumulate(x)).max())
        found.append((node.nnz, round(float(np.mean(x != 0)), 3), peak, largest))
    assert found == [
        (17122, 0.118, 128, 705),
        (11969, 0.169, 127, 829),
        (8634, 0.359, 207, 2150),
        (1637, 0.358, 505, 4702),
    ]


def test_events(chat: Tinychat, values: reference.Values) -> None:
    events = np.zeros(len(values["counts"]), np.int64)
    for node in linears(chat):
        events += (values[node.inputs[0]] != 0) @ (node.weights != 0).sum(axis=0)
    assert [round(events.mean()), round(np.percentile(events, 95)), events.max()] == [
        7399,
        8961,
        10682,
    ]


def test_dead_units(chat: Tinychat) -> None:
    alive = np.ones(256, bool)
    dead = []
    for node in linears(chat)[:2]:
        can_fire = (node.weights[:, alive] > 0).any(axis=1) | (node.bias >> 2 > 0)
        dead.append(int((~can_fire).sum()))
        alive = can_fire
    assert dead == [33, 33]


def test_float_reference(chat: Tinychat) -> None:
    folder = Path(os.environ["TRUECYCLE_Z80AI"])
    model = models.load("tinychat", folder)
    assert model.reference.accuracy() == pytest.approx(0.7949, abs=2e-4)
    assert len(model.inputs) == sum(len(r.inputs) for r in chat.replies(chat.queries[:100]))


def test_the_split_of_protocol_a() -> None:
    task = tasks.load_task("tinychat-a", Path(os.environ["TRUECYCLE_Z80AI"]))
    assert isinstance(task, ChatTask)
    assert len({pair.query for pair in task.validation_pairs}) == 342
    assert len(task.validation_pairs) == 448
    assert len(task.validation.labels) == 2219
    assert len(task.train.labels) == 14814 - 2219


def test_the_baselines_of_protocol_a() -> None:
    task = tasks.load_task("tinychat-a", Path(os.environ["TRUECYCLE_Z80AI"]))
    table, nearest, linear = baselines(task)
    assert (table.accuracy, table.perplexity, table.exact) == pytest.approx(
        (0.661, 3.37, 0.103), rel=0.01
    )
    assert (nearest.accuracy, nearest.perplexity, nearest.exact) == pytest.approx(
        (0.735, 2.79, 0.315), rel=0.02
    )
    assert 0.55 < linear.accuracy < table.accuracy


def test_the_shipped_network_under_protocol_b(chat: Tinychat) -> None:
    task = tasks.load_task("tinychat-b", Path(os.environ["TRUECYCLE_Z80AI"]))
    scores = score_candidate(graph_candidate("shipped", chat.graph), task)
    assert scores.exact is not None
    assert (round(scores.accuracy, 3), round(scores.exact, 3)) == (0.796, 0.370)
    assert scores.perplexity == pytest.approx(1.99, abs=0.01)
