"""The network, its replies and data against a naive implementation in scalars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_chat import CHARSET, ChatFolder

import models
from kernels import ir, reference
from models.chat.pairs import exact_share
from models.errors import InputRefused
from models.tinychat import Pair, TeacherForced, Tinychat, Weights, dataset, load_tinychat

QUERIES = ["hello", "ARE YOU REAL", "", "  what?", "zzzzzzzzzzzz", "0123456789 " * 5]


def naive_wrap16(value: int) -> int:
    value %= 65536
    return value - 65536 if value >= 32768 else value


def naive_counts(query: str, reply: str) -> list[int]:
    counts = [0] * 256

    def add(start: int, gram: str, base: int) -> None:
        h = start
        for character in gram:
            h = (h * 31 + ord(character)) % 65536
        counts[base + h % 128] += 1

    query = query.lstrip(" ").lower()
    if query:
        text = " " + query + " "
        for i in range(len(text) - 2):
            add(0, text[i : i + 3], 0)
    context = reply.lower()[-8:].rjust(8)
    for n in (1, 2, 3):
        for i in range(8 - n + 1):
            add(7 * i, context[i : i + n], 128)
    return counts


def naive_forward(weights: Weights, counts: list[int]) -> list[list[int]]:
    """Every layer's values."""
    values, layers = [32 * count for count in counts], []
    for number, (matrix, bias) in enumerate(weights.layers, start=1):
        sums = []
        for row, b in zip(matrix.tolist(), bias.tolist(), strict=True):
            acc = b
            for w, x in zip(row, values, strict=True):
                acc = naive_wrap16(acc + w * x)
            sums.append(acc // 4)
        values = sums if number == len(weights.layers) else [max(0, y) for y in sums]
        layers.append(values)
    return layers


def naive_first_maximum(values: list[int]) -> int:
    best = 0
    for index, value in enumerate(values):
        if value > values[best]:
            best = index
    return best


def naive_reply(weights: Weights, query: str) -> str:
    text = ""
    while len(text) < 50:
        index = naive_first_maximum(naive_forward(weights, naive_counts(query, text))[-1])
        if index == len(weights.charset) - 1:
            break
        text += weights.charset[index]
    return text


def with_end_bias(chat: Tinychat, bias: int) -> Tinychat:
    """The same network, with another bias on the character that ends a reply."""
    *rest, (matrix, biases) = chat.weights.layers
    changed = biases.copy()
    changed[-1] = bias
    weights = Weights((*rest, (matrix, changed)), chat.weights.charset)
    return Tinychat(weights, chat.pairs)


def random_counts(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """As many counts as there may be, spread over many buckets or heaped into few."""
    rows = [
        rng.multinomial(81, rng.dirichlet(np.full(256, 10.0 ** -(n % 4)))) for n in range(count)
    ]
    return np.array(rows, np.uint8)


@pytest.mark.parametrize(("seed", "bias"), [(0, 60), (1, 60), (2, 32767), (3, 32767)])
def test_layers_agree_with_the_naive_network(chat_folder: ChatFolder, seed: int, bias: int) -> None:
    chat = load_tinychat(chat_folder(seed, bias=bias))
    counts = random_counts(np.random.default_rng(seed), 20)
    values = reference.run(chat.graph, counts)
    for row, x in enumerate(counts.tolist()):
        layers = naive_forward(chat.weights, x)
        for node, expected in zip(chat.graph.nodes, layers, strict=False):
            assert values[node.output.name][row].tolist() == expected
        assert values["character"][row].item() == naive_first_maximum(layers[-1])


def test_the_random_networks_do_wrap(chat_folder: ChatFolder) -> None:
    chat = load_tinychat(chat_folder(2, bias=32767))
    first = chat.graph.nodes[0]
    counts = random_counts(np.random.default_rng(2), 20)
    sums = first.accumulate(counts.astype(np.int64))  # type: ignore[attr-defined]
    assert np.abs(sums).max() > 32767


@pytest.mark.parametrize("seed", range(4))
def test_replies_agree_with_the_naive_network(chat_folder: ChatFolder, seed: int) -> None:
    chat = load_tinychat(chat_folder(seed))
    for reply in chat.replies(QUERIES):
        assert reply.text == naive_reply(chat.weights, reply.query)
        for step, inputs in enumerate(reply.inputs):
            assert inputs.tolist() == naive_counts(reply.query, reply.text[:step])


def test_a_reply_stops_at_its_end_or_after_fifty(chat_folder: ChatFolder) -> None:
    chat = load_tinychat(chat_folder())
    (mute,) = with_end_bias(chat, 32000).replies(["hello"])
    assert (mute.text, len(mute.inputs)) == ("", 1)
    assert mute.outputs.tolist() == [len(CHARSET) - 1]
    (endless,) = with_end_bias(chat, -32000).replies(["hello"])
    assert len(endless.text) == len(endless.inputs) == 50


def test_replies_do_not_depend_on_the_company(chat_folder: ChatFolder) -> None:
    chat = load_tinychat(chat_folder(5))
    together = [reply.text for reply in chat.replies(QUERIES)]
    assert together == [chat.replies([query])[0].text for query in QUERIES]


def test_a_query_that_would_wrap_its_count_is_refused(chat_folder: ChatFolder) -> None:
    with pytest.raises(InputRefused, match="beyond 255"):
        load_tinychat(chat_folder()).replies(["a" * 300])


def test_the_graph_is_sound_and_its_ranges_hold(chat_folder: ChatFolder) -> None:
    graph = load_tinychat(chat_folder()).graph
    ir.verify(graph)
    counts = random_counts(np.random.default_rng(0), 50)
    values = reference.run(graph, counts)
    bounds = graph.input.range
    for node in graph.nodes:
        bounds = node.output_range(bounds)
        found = values[node.output.name]
        assert ir.Range(int(found.min()), int(found.max())) in bounds


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        (" Hello There | hey you ", Pair("HELLO THERE", "HEY YOU")),
        ("ab|c|d", Pair("AB", "C|D")),
        ("a|b", None),
        ("ab|", None),
        ("no bar", None),
        ("# comment", None),
        ("", None),
        ("q" * 70 + "|r", Pair("Q" * 60, "R")),
        ("q" * 50 + " " + "q" * 20 + "|r", Pair("Q" * 50, "R")),
        ("q" * 30 + " " + "q" * 40 + "|r", Pair("Q" * 30 + " " + "Q" * 29, "R")),
        ("ab|" + "r" * 45 + " " + "r" * 20, Pair("AB", "R" * 45)),
        ("ab|" + "r" * 60, Pair("AB", "R" * 50)),
    ],
)
def test_lines(line: str, pair: Pair | None) -> None:
    assert dataset.parse_line(line) == pair


def test_pairs_and_queries_keep_their_order(chat_folder: ChatFolder) -> None:
    chat = load_tinychat(chat_folder())
    assert [pair.reply for pair in chat.pairs] == ["HI", "HEY YOU", "R U?", "NO"]
    assert chat.queries == ("HELLO THERE", "ARE YOU REAL", "I AM CERTAIN")


def test_teacher_forced_examples(chat_folder: ChatFolder) -> None:
    chat = load_tinychat(chat_folder())
    examples, row = chat.teacher_forced, 0
    for number, pair in enumerate(chat.pairs):
        for place, character in enumerate(pair.reply + "\0"):
            assert examples.inputs[row].tolist() == naive_counts(pair.query, pair.reply[:place])
            assert CHARSET[examples.labels[row]] == character
            assert examples.pairs[row] == number
            row += 1
    assert row == len(examples.inputs) == len(examples.labels)


def test_an_exact_reply_needs_every_character() -> None:
    labels, pairs = np.array([1, 2, 3, 4, 5]), np.array([0, 0, 1, 1, 2])
    examples = TeacherForced(np.zeros((5, 256), np.uint8), labels, pairs)
    assert exact_share(examples, np.array([1, 2, 3, 9, 5])) == pytest.approx(2 / 3)


def test_free_running_inputs_are_those_of_the_first_queries(chat_folder: ChatFolder) -> None:
    chat = load_tinychat(chat_folder())
    expected = np.concatenate([reply.inputs for reply in chat.replies(chat.queries[:2])])
    assert np.array_equal(chat.free_running(2), expected)


def test_the_float_network_neither_rounds_nor_wraps(chat_folder: ChatFolder) -> None:
    import torch  # noqa: PLC0415

    from models.tinychat.network import FloatNetwork  # noqa: PLC0415

    weights = load_tinychat(chat_folder(1)).weights
    counts = np.random.default_rng(1).integers(0, 4, (5, 256))
    values: Any = 32.0 * counts
    for number, (matrix, bias) in enumerate(weights.layers, start=1):
        values = (values @ matrix.T.astype(float) + bias) / 4
        if number < len(weights.layers):
            values = np.maximum(values, 0)
    found = FloatNetwork(weights)(torch.tensor(counts, dtype=torch.float32)).detach().numpy()
    assert found == pytest.approx(values, rel=1e-5)


def test_the_model_s_face(chat_folder: ChatFolder) -> None:
    folder: Path = chat_folder()
    model, chat = models.load("tinychat", folder), load_tinychat(folder)
    assert np.array_equal(model.inputs, chat.free_running(100))
    assert model.labels is None
    assert "protocol B" in model.evaluation.what
    predicted = models.predict(chat.graph, chat.teacher_forced.inputs)
    right = models.accuracy(predicted, chat.teacher_forced.labels)
    assert model.integer_accuracy() == right
    assert 0 <= model.reference.accuracy() <= 1
