"""Splits, augmentation and the registry of tasks, on made-up pairs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic_chat import CHARSET, LINES, ChatFolder

from models import tasks
from models.chat import encoder
from models.chat.augmentation import vary
from models.chat.pairs import Pair, ambiguous_queries, teacher_forced
from models.chat.protocols import ChatTask, Protocol, chat_task, split_by_query
from models.errors import DataNeeded, ModelFileError, UnknownTask

PAIRS = tuple(Pair(f"QUERY NUMBER {n // 2}", "YEA" if n % 2 else "NO") for n in range(200))
QUERIES = [pair.query for pair in PAIRS] * 20


@pytest.fixture(scope="module")
def task() -> ChatTask:
    return chat_task("made-up", PAIRS, CHARSET, Protocol.A)


def test_no_query_stands_on_both_sides() -> None:
    train, validation = split_by_query(PAIRS)
    assert not {pair.query for pair in train} & {pair.query for pair in validation}
    assert len({pair.query for pair in validation}) == 15
    assert sorted([*train, *validation], key=PAIRS.index) == list(PAIRS)
    assert list(train) == sorted(train, key=PAIRS.index)


def test_the_split_is_the_stated_permutation() -> None:
    queries = sorted({pair.query for pair in PAIRS})
    order = np.random.RandomState(1234).permutation(100)
    _, validation = split_by_query(PAIRS[::-1])  # the order of the file does not matter
    assert {pair.query for pair in validation} == {queries[place] for place in order[:15]}


def test_protocol_a(task: ChatTask) -> None:
    assert (task.name, task.classes) == ("made-up", len(CHARSET))
    assert task.protocol == "protocol A: by unique query, 85/15"
    for examples, pairs, owners in (
        (task.train, task.train_pairs, task.train_owners),
        (task.validation, task.validation_pairs, task.validation_owners),
    ):
        expected = teacher_forced(pairs, CHARSET)
        assert np.array_equal(examples.inputs, expected.inputs)
        assert np.array_equal(examples.labels, expected.labels)
        assert np.array_equal(owners, expected.pairs)
        assert (examples.inputs.dtype, examples.labels.dtype) == (np.uint8, np.int64)


def test_protocol_b_trains_and_scores_on_everything() -> None:
    task = chat_task("made-up", PAIRS, CHARSET, Protocol.B)
    assert task.train_pairs == task.validation_pairs == PAIRS
    assert task.validation.inputs is task.train.inputs
    assert "scored on all" in task.protocol


def test_a_task_cannot_be_changed_by_its_user(task: ChatTask) -> None:
    with pytest.raises(ValueError, match="read-only"):
        task.train.inputs[0, 0] = 1


def test_augmentation_is_seeded_and_keeps_labels_and_contexts(task: ChatTask) -> None:
    assert task.augmented is not None
    first, again = (task.augmented(np.random.default_rng(5)) for _ in range(2))
    other = task.augmented(np.random.default_rng(6))
    assert np.array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.inputs, other.inputs)
    assert np.array_equal(first.labels, task.train.labels)
    contexts = slice(encoder.BUCKETS, None)
    assert np.array_equal(first.inputs[:, contexts], task.train.inputs[:, contexts])
    changed = (first.inputs != task.train.inputs).any(axis=1)
    assert 0.5 < changed.mean() < 0.8


def test_words_are_counted_where_the_task_asks_for_them() -> None:
    encode = encoder.query_and_word_counts
    words = chat_task("made-up", PAIRS, CHARSET, Protocol.A, encode)
    plain = chat_task("made-up", PAIRS, CHARSET, Protocol.A)
    context = slice(-encoder.BUCKETS, None)
    for found, other, pairs in (
        (words.train, plain.train, words.train_pairs),
        (words.validation, plain.validation, words.validation_pairs),
    ):
        assert found.inputs.shape[1] == 3 * encoder.BUCKETS
        assert np.array_equal(found.inputs[:, context], other.inputs[:, context])
        owners = teacher_forced(pairs, CHARSET).pairs
        queries = encode([pair.query for pair in pairs])[owners]
        assert np.array_equal(found.inputs[:, : 2 * encoder.BUCKETS], queries)
    assert words.augmented is not None
    varied = words.augmented(np.random.default_rng(5)).inputs
    changed = (varied != words.train.inputs)[:, encoder.BUCKETS : 2 * encoder.BUCKETS].any(axis=1)
    assert 0.3 < changed.mean() < 0.8
    assert np.array_equal(varied[:, context], words.train.inputs[:, context])


def test_about_the_stated_share_is_varied() -> None:
    varied = vary(QUERIES, np.random.default_rng(0), share=0.7)
    share = np.mean([old != new for old, new in zip(QUERIES, varied, strict=True)])
    assert 0.6 < share <= 0.72
    assert vary(QUERIES, np.random.default_rng(0), share=0) == QUERIES


def test_each_way_of_varying_occurs_and_no_other() -> None:
    found = set(vary(["AB CD"] * 2000, np.random.default_rng(0), share=1))
    assert {"AB", "CD", "CD AB", "BA CD", "B CD", "AAB CD", "xB CD"} <= found
    assert all(2 <= len(text) <= 6 for text in found)


@pytest.mark.parametrize("query", ["", "A", " ", "AB", "  A"])
def test_a_short_query_does_not_vanish(query: str) -> None:
    for text in vary([query] * 500, np.random.default_rng(0), share=1):
        assert text.strip() or not query.strip()


def test_ambiguous_queries_have_several_replies() -> None:
    pairs = [Pair("A B", "X"), Pair("C D", "X"), Pair("A B", "Y"), Pair("C D", "X")]
    assert ambiguous_queries(pairs) == ("A B",)


def test_tasks_are_found_by_name(chat_folder: ChatFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"tinychat-a", "tinychat-b"} <= set(tasks.names())
    with pytest.raises(UnknownTask, match=r"no task is named 'nothing'; choose one of: .*tinychat"):
        tasks.load_task("nothing")
    monkeypatch.delenv("TRUECYCLE_Z80AI", raising=False)
    with pytest.raises(DataNeeded, match="tinychat-a needs a folder with z80ai's tinychat files"):
        tasks.load_task("tinychat-a")
    folder: Path = chat_folder(lines=LINES + "hello again|HI\n")
    task = tasks.load_task("tinychat-b", folder)
    assert isinstance(task, ChatTask)
    assert (len(task.train_pairs), task.charset) == (5, CHARSET)
    assert len(tasks.load_task("tinychat-a", folder).validation.labels) > 0
    monkeypatch.setenv("TRUECYCLE_Z80AI", str(folder))
    assert tasks.load_task("tinychat-b").name == "tinychat-b"


@pytest.mark.parametrize("name", ["tinychat-a", "tinychat-b"])
def test_too_few_queries_to_split(chat_folder: ChatFolder, name: str) -> None:
    with pytest.raises(ModelFileError, match="fewer than 4 queries to split"):
        tasks.load_task(name, chat_folder())


def test_tasks_import_neither_torch_nor_more_than_they_need() -> None:
    program = (
        "import sys; from models import evaluation, tasks; tasks.names()\n"
        "assert 'sklearn' not in sys.modules\n"
        "tasks.load_task('chat-a'); assert not {'torch', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
