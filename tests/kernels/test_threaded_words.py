"""Threaded words on Z80: pages of sums, shared sums between layers, wide inputs, and T-states."""

import numpy as np
import pytest
from builders import (
    STRAIGHT_LINE,
    assert_exact_and_bounded,
    differences,
    graph_of,
    linear,
    requantization,
    single,
)
from counting import COUNTS, assert_words_are_handed_on, everywhere, hidden, network, strained
from strategies import batch

from harness.run import Runner
from kernels.choice import Choice
from kernels.compile import compile_graph, draft_graph
from kernels.dtypes import INT8, INT16, UINT8
from kernels.ir import Graph, Range, Tensor
from kernels.target import find_target
from kernels.z80.words import Term, loaded

WORDS = "threaded-words"
CPM = find_target("cpm")


@pytest.mark.parametrize(
    ("target", "units"),
    [
        ("cpm", (50, 30, 20)),
        ("z80", (50, 30, 20)),
        ("msx-rom", (50, 30, 20)),
        ("cpm", (256, 160, 40)),
        ("cpm", (9, 128, 129)),
    ],
)
def test_a_network_like_tinychat(target: str, units: tuple[int, ...]) -> None:
    """Sums of a byte, and words on one page, two and more."""
    graph = network(units)
    draft = draft_graph(graph, find_target(target), everywhere(graph, WORDS))
    assert_words_are_handed_on(draft)


@pytest.mark.parametrize("first", [WORDS, STRAIGHT_LINE])
@pytest.mark.parametrize("second", [WORDS, STRAIGHT_LINE])
@pytest.mark.parametrize("counting", [WORDS, STRAIGHT_LINE, "threaded-lists", "threaded-gaps"])
def test_what_others_write_and_read(counting: str, first: str, second: str) -> None:
    graph = network((40, 30, 20))
    plan = dict(zip(everywhere(graph), (counting, first, second, WORDS), strict=True))
    assert differences(compile_graph(graph, CPM, plan), strained(graph)) == []


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.6, 1.0])
def test_rates_decide_what_is_shared_and_what_has_code_of_its_own(rate: float) -> None:
    graph = network((100, 140, 90))
    counts = (COUNTS.total.high if COUNTS.total else 0, 100, 140, 90)
    names = list(everywhere(graph))
    plan = {
        name: Choice(WORDS, (), (rate,) * size)
        for name, size in zip(names, (40, *counts[1:]), strict=True)
    }
    program = compile_graph(graph, CPM, plan)
    assert differences(program, strained(graph)) == []
    shares = any("fc2_enter" in symbol for symbol in program.image.symbols)
    assert shares == (rate < 0.5)


@pytest.mark.parametrize("value", [0, 1, 254, 255, 256, 257, 510, 511, 512, 4095, 8191, 16_320])
@pytest.mark.parametrize("rate", [0.1, 0.9])
def test_inputs_of_any_size_walk_often_enough(value: int, rate: float) -> None:
    weights = [[1, 1, -1], [-1, 0, 1], [2, -2, 1]]
    graph = single(weights, [5, -6, 7], source=INT16, bounds=Range(0, 16_320), wrap=16)
    draft = draft_graph(graph, CPM, {"fc": Choice(WORDS, (), (rate,) * 3)})
    inputs = np.array([[value, 0, 0], [0, value, 3], [7, 256, value], [value] * 3])
    assert_exact_and_bounded(draft, inputs)


@pytest.mark.parametrize("most", [16_320, 16_321])
def test_inputs_that_take_too_many_walks_are_left_to_threaded_lists(most: int) -> None:
    graph = single([[1, -1]], source=INT16, bounds=Range(0, most), wrap=16)
    program = compile_graph(graph, CPM, everywhere(graph, WORDS))
    assert ("fc_ended" in program.image.symbols) == (most == 16_320)
    assert differences(program, np.array([[most, 1], [0, most]])) == []


def test_wide_units_of_bytes_and_words() -> None:
    """Counts that make a unit's value more than a byte, of either form."""
    source = Tensor("x", (40,), UINT8, bounds=COUNTS)
    one = hidden("one", source, 30, 1, input_shift=5)
    two = linear("two", one.output, np.ones((140, 30), int), np.arange(140) - 200, RELU, wrap=16)
    last = linear("last", two.output, np.eye(3, 140, dtype=int), 0, wrap=16)
    graph = graph_of(one, two, last, source=source)
    values = strained(graph)
    runner = compile_graph(graph, CPM, everywhere(graph, WORDS))
    assert runner.forms == {"one_out": "sums8", "two_out": "words"}
    assert differences(runner, values) == []


RELU = requantization(1, 1, low=0, high=INT16.high)


@pytest.mark.parametrize("dtype", [INT8, INT16])
def test_inputs_below_zero_are_counted_from_the_least(dtype: object) -> None:
    source = INT8 if dtype is INT8 else INT16
    rng = np.random.default_rng(8)
    bounds = Range(-100, 120) if source is INT8 else Range(-2000, 3000)
    weights, bias = rng.integers(-2, 3, (9, 12)), rng.integers(-99, 99, 9)
    how = requantization(300, 9, low=INT8.low, high=INT8.high)
    for wrap in (16, None):
        graph = single(weights, bias, how, source=source, bounds=bounds, dtype=INT8, wrap=wrap)
        program = compile_graph(graph, CPM, everywhere(graph, WORDS))
        assert differences(program, batch(graph, 3)) == []


@pytest.mark.parametrize("units", [127, 128, 129, 256, 257, 400])
def test_sums_on_pages(units: int) -> None:
    rng = np.random.default_rng(units)
    weights = rng.choice([-2, -1, 0, 0, 0, 1], (units, 12))
    weights[:, 3] = 0
    weights[:-1, 5] = 0
    for how in (requantization(1, 2), requantization(77, 5)):
        graph = single(weights, rng.integers(-99, 99, units), how, wrap=16)
        draft = draft_graph(graph, CPM, everywhere(graph, WORDS))
        assert_exact_and_bounded(draft, batch(graph, 3))


def test_de_is_brought_back_for_later_sums() -> None:
    """Also where sums without shared words lie between."""
    sums = [(Term(0), Term(8)), (Term(2),), (Term(4), Term(8), Term(10)), (Term(6), Term(12))]
    codes = loaded("s", sums)
    assert [keep for _, keep in codes] == ["ld de,(s+8)", "ld de,(s+8)", "", ""]
    assert codes[2][0] == "ld hl,(s+4)\nadd hl,de\nld de,(s+10)\nadd hl,de"


def cycles(graph: Graph, x: list[int], rate: float = 0.25) -> int:
    plan = {"fc": Choice(WORDS, (), (rate,) * len(x))}
    program = compile_graph(graph, CPM, plan)
    return Runner(program).infer(np.array(x)).layer_cycles["fc"]


@pytest.mark.parametrize("weight", [1, -1])
def test_an_event_takes_34_t(weight: int) -> None:
    """And 10 more for a run, 5 for a pair that brings but one, 24 for the runs of another page."""

    def layer(*events: int) -> int:
        weights = np.zeros((300, 1), int)
        for page, count in enumerate(events):
            weights[128 * page : 128 * page + count] = weight
        return cycles(single(weights, 100, bounds=Range(0, 9), wrap=16), [1], 0.01)

    for events in (3, 4, 7, 16, 31, 32):
        assert layer(events) - layer(2) == 34 * (events - 2) + 5 * (events % 2)
    assert layer(34) - layer(32) == 2 * 34 + 10
    runs = {1: 10 + 4 + 10, -1: 4 + 10}[weight]
    assert layer(2, 2) - layer(2) == 2 * 34 + runs
    assert layer(2, 2, 4) - layer(2, 2) == 4 * 34 + runs


@pytest.mark.parametrize(("weight", "bias"), [(1, 250), (-1, 5)])
def test_a_carry_takes_32_t_more(weight: int, bias: int) -> None:
    graph = single([[weight]], bias, wrap=16)
    assert cycles(graph, [200]) - cycles(graph, [1]) == 32


END, EVENT = 8 + 10, 34 + 5  # of a column; of its only event


@pytest.mark.parametrize(("source", "inactive", "active"), [(UINT8, 27, 58), (INT16, 34, 86)])
@pytest.mark.parametrize("rate", [0.49, 0.5])
def test_t_states_of_looking_at_an_input(
    source: object, inactive: int, active: int, rate: float
) -> None:
    def layer(inputs: int, x: int) -> int:
        dtype = UINT8 if source is UINT8 else INT16
        bounds = Range(0, 255 if source is UINT8 else 999)
        graph = single(-np.ones((1, inputs), int), source=dtype, bounds=bounds, wrap=16)
        return cycles(graph, [x] * inputs, rate)

    seldom = 10 if rate < 0.5 else 0
    assert layer(9, 0) - layer(8, 0) == inactive
    assert layer(9, 1) - layer(8, 1) == active + seldom + EVENT + END


@pytest.mark.parametrize(("wide", "active"), [(False, 89), (True, 106)])
def test_t_states_of_looking_at_a_unit(*, wide: bool, active: int) -> None:
    """One more unit that its bias activates, or does not; its column is one event."""

    def layer(units: int, positive: int) -> int:
        source = Tensor("x", (2,), UINT8, bounds=Range(0, 255))
        biases = np.where(np.arange(units) < positive, 100, -100)
        how = requantization(1, 2, low=0, high=INT16.high)
        weights = np.ones((units, 2)) * (2 if wide else 1)
        one = linear("one", source, weights, biases, how, wrap=16)
        fc = linear("fc", one.output, -np.ones((1, units)), 128, wrap=16)
        plan = {
            "one": Choice(WORDS, (), (0.01,) * 2),
            "fc": Choice(WORDS, (), (0.5,) * units),
        }
        program = compile_graph(graph_of(one, fc, source=source), CPM, plan)
        assert program.forms == {"one_out": "words"}
        return Runner(program).infer(np.array([0, 0])).layer_cycles["fc"]

    assert layer(7, 3) - layer(6, 3) == 34
    assert layer(7, 4) - layer(7, 3) == active - 34 + EVENT + END
