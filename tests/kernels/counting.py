"""Networks as tinychat: counts, ReLUs and plain shifts, sums that may wrap."""

from collections.abc import Sequence

import numpy as np
from builders import (
    STRAIGHT_LINE,
    assert_exact_and_bounded,
    graph_of,
    linear,
    requantization,
)
from numpy.typing import NDArray

from kernels.bounds import Bounds
from kernels.draft import Draft
from kernels.dtypes import INT16, UINT8
from kernels.ir import Graph, Range, Tensor
from kernels.ops.linear import Linear

COUNTS = Bounds.summing(40, Range(0, 255), Range(0, 30))


def hidden(name: str, source: Tensor, units: int, seed: int, input_shift: int = 0) -> Linear:
    """A layer with a ReLU whose weights are seldom -2."""
    rng = np.random.default_rng(seed)
    weights = rng.choice([-2, -1, 0, 1], (units, source.count), p=[0.02, 0.18, 0.6, 0.2])
    how = requantization(1, 2, low=0, high=INT16.high)
    bias = rng.integers(-5, 6, units)
    return linear(name, source, weights, bias, how, input_shift=input_shift, wrap=16)


def network(units: Sequence[int] = (50, 30, 20), outputs: int = 7) -> Graph:
    """As tinychat: counts, ReLUs and plain shifts, sums that may wrap."""
    source = Tensor("x", (40,), UINT8, bounds=COUNTS)
    nodes = [hidden("fc0", source, units[0], 0, input_shift=5)]
    for number, size in enumerate(units[1:], start=1):
        nodes.append(hidden(f"fc{number}", nodes[-1].output, size, number))
    rng = np.random.default_rng(9)
    weights = rng.integers(-1, 2, (outputs, units[-1]))
    last = linear("last", nodes[-1].output, weights, 3, requantization(1, 2), wrap=16)
    return graph_of(*nodes, last, source=source)


def everywhere(graph: Graph, encoding: str = STRAIGHT_LINE) -> dict[str, str]:
    return {node.name: encoding for node in graph.nodes if isinstance(node, Linear)}


def strained(graph: Graph) -> NDArray[np.int64]:
    """Inputs as the sum's bound allows: in one element, in few, in many, none."""
    rng = np.random.default_rng(4)
    count, total = graph.input.count, COUNTS.total
    assert total
    rows = [
        np.bincount(rng.integers(0, part, total.high), minlength=count) for part in (1, 2, 9, 40)
    ]
    return np.array([*rows, np.zeros(count, np.int64), np.eye(count, dtype=np.int64)[-1]])


def assert_words_are_handed_on(draft: Draft) -> None:
    """Sums of a byte from the counts, words from there on; exact and bounded."""
    assert {name: form.name for name, form in draft.plan.forms.items()} == {
        "fc0_out": "sums8",
        "fc1_out": "words",
        "fc2_out": "words",
    }
    assert_exact_and_bounded(draft, strained(draft.graph))
