"""Threaded lists on Z80: layers that hand their sums on, and the cycles of a column."""

import numpy as np
import pytest
from builders import (
    argmax,
    compile_with,
    differences,
    encode_all,
    graph_of,
    linear,
    requantization,
    single,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from harness.run import Runner
from kernels.choice import Choice
from kernels.compile import compile_graph, decide
from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.errors import Unsupported
from kernels.ir import Bounds, Graph, Node, Range, Tensor
from kernels.quant import Rounding
from kernels.target import find_target

THREADED, GAPS = "threaded-lists", "threaded-gaps"
SIZES = (1, 2, 5, 16, 40, 127, 254, 255, 256, 300)
EVENT = 34


def chain(draw: st.DrawFn) -> Graph:
    """Two to four layers with ReLU whose sums the next one can read, and the argmax."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    dtype = draw(st.sampled_from([UINT8, INT8, INT16]))
    high = draw(st.sampled_from([1, 9, dtype.high]))
    low = draw(st.sampled_from([0, 0, max(dtype.low, -high)]))
    source = Tensor("x", (draw(st.sampled_from(SIZES)),), dtype, bounds=Range(low, high))
    x, nodes = source, list[Node]()
    count = draw(st.integers(2, 4))
    for number in range(count):
        last = number == count - 1
        room = min(20_000 // source.count, 256 if last else 300)
        units = draw(st.sampled_from([size for size in SIZES if size <= room]))
        weights = rng.integers(-2, 2, (units, source.count), np.int8, endpoint=True)
        weights[rng.random(weights.shape) < draw(st.sampled_from([0.5, 0.8, 0.95]))] = 0
        how = requantization(1, draw(st.integers(0, 7)), low=INT16.low if last else 0)
        spread = draw(st.sampled_from([1, 30, 3000, 30000]))
        biases = rng.integers(-spread, spread, units)
        shift = draw(st.sampled_from([0, 1, 5, 8])) if number == 0 else 0
        layer = linear(f"fc{number}", source, weights, biases, how, input_shift=shift, wrap=16)
        nodes.append(layer)
        source = layer.output
    nodes.append(argmax(source))
    return graph_of(*nodes, source=x, outputs=(source.name, "winner"))


def inputs_of(graph: Graph, seed: int) -> NDArray[np.int64]:
    """Mostly zeros, noise, both ends, and nothing at all."""
    rng, known, shape = np.random.default_rng(seed), graph.input.range, graph.input.shape
    noise = rng.integers(known.low, known.high, (3, *shape), endpoint=True)
    noise[0][rng.random(shape) < 0.8] = 0
    ends = np.full(shape, known.high), np.full(shape, known.low)
    return np.stack([*noise, *ends, np.zeros(shape, np.int64)])


@settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_layers_that_hand_their_sums_on(data: st.DataObject) -> None:
    graph = chain(data.draw)  # type: ignore[arg-type]
    encoding = data.draw(st.sampled_from([THREADED, GAPS]))
    assert differences(compile_with(graph, "cpm", encoding), inputs_of(graph, 1)) == []


def forms(graph: Graph) -> list[str]:
    return [
        form.name
        for form in decide(graph, find_target("cpm"), encode_all(graph, THREADED)).forms.values()
    ]


@pytest.mark.parametrize(
    ("change", "handed_on"),
    [
        ({}, True),
        ({"rounding": Rounding.HALF_UP}, True),
        ({"shift": 7}, True),
        ({"shift": 8}, False),
        ({"high": 100}, False),
        ({"zero_point": 1, "low": 1}, False),
        ({"low": -1}, False),
        ({"multiplier": 3}, False),
    ],
)
def test_sums_are_handed_on_where_a_shift_and_a_relu_are_all(
    change: dict[str, int], handed_on: bool
) -> None:
    how = requantization(**({"shift": 2, "low": 0} | change))
    one = linear("one", Tensor("x", (9,), UINT8), [[1] * 9, [2] * 9], [7, -900], how)
    two = linear("two", one.output, [[1, -1], [-2, 1]])
    graph = graph_of(one, two, source=one.input)
    assert forms(graph) == ["sums"] * handed_on
    every = np.arange(256)[:, np.newaxis].repeat(9, axis=1)
    assert differences(compile_with(graph, "cpm", THREADED), every) == []


def counts(
    promised: int, units: int, shift: int, *, input_shift: int = 5, bias: int = 4, low: int = -2
) -> Graph:
    """A layer of counts that are few together, as tinychat's first, and one that reads it."""
    rng = np.random.default_rng(promised)
    bounds = Bounds.summing(60, Range(0, 255), Range(0, promised))
    source = Tensor("x", (60,), UINT8, bounds=bounds)
    how = requantization(1, shift, low=0)
    weights = rng.integers(low, 2, (units, 60))
    biases = rng.integers(-bias, bias, units, endpoint=True)
    one = linear("one", source, weights, biases, how, input_shift=input_shift, wrap=16)
    two = linear("two", one.output, rng.integers(-1, 2, (9, units)), 5, wrap=16)
    return graph_of(one, two, argmax(two.output), source=source, outputs=("two_out", "winner"))


def few(promised: int) -> NDArray[np.int64]:
    """Counts that sum up to all that is promised, one by one, at once, and not at all."""
    rng = np.random.default_rng(promised)
    rows = [rng.multinomial(total, np.full(60, 1 / 60)) for total in (1, promised // 2, promised)]
    single = np.zeros((60, 60), np.int64)
    np.fill_diagonal(single, promised)
    return np.stack([*rows, *single, np.zeros(60, np.int64)])


@pytest.mark.parametrize(
    ("graph", "promised", "form"),
    [
        (counts(81, 30, 2), 81, "sums8"),
        (counts(81, 30, 2, bias=1000), 81, "sums"),  # so apart that no threshold serves all
        (counts(81, 30, 5), 81, "sums8"),
        (counts(81, 256, 2), 81, "sums8"),
        (counts(60, 300, 0), 60, "sums8"),
        (counts(81, 30, 6), 81, "sums"),  # a value takes several sums
        (counts(128, 30, 2), 128, "sums"),  # twice as many do not fit a byte
        (counts(120, 30, 2, low=-1), 120, "sums8"),
        (counts(81, 30, 2, input_shift=8), 81, "sums"),
        (counts(40, 30, 7, input_shift=8, bias=30000), 40, "sums"),  # these wrap
    ],
)
def test_sums_of_a_byte_where_counts_are_few(graph: Graph, promised: int, form: str) -> None:
    assert forms(graph) == [form]
    assert differences(compile_with(graph, "cpm", THREADED), few(promised)) == []


def test_sums_of_a_byte_reach_both_ends() -> None:
    """A sum of 127 counts either way: 254 values, and the end's."""
    source = Tensor("x", (2,), UINT8, bounds=Bounds.summing(2, Range(0, 255), Range(0, 84)))
    one = linear(
        "one", source, [[1, -2], [-2, 1]], [0, 31], requantization(1, 5, low=0), input_shift=5
    )
    two = linear("two", one.output, [[1, 0], [0, 1]])
    graph = graph_of(one, two, source=source)
    assert forms(graph) == ["sums8"]
    inputs = np.array([[a, b] for a in range(85) for b in range(85 - a)])
    assert differences(compile_with(graph, "cpm", THREADED), inputs) == []


def test_a_counted_event_takes_20_t() -> None:
    def layer(events: int, count: int) -> int:
        column = [1] * events + [0] * (40 - events)
        source = Tensor("x", (2,), UINT8, bounds=Bounds.summing(2, Range(0, 9), Range(0, 9)))
        one = linear("fc", source, np.array([column, [1] * 40]).T, 0, requantization(1, 0, low=0))
        graph = graph_of(one, linear("two", one.output, [[1] * 40]), source=source)
        assert forms(graph) == ["sums8"]
        return cycles(graph, [count, 0])

    for events in (4, 5, 16, 39, 40):
        assert layer(events, 1) - layer(2, 1) == 20 * (events - 2) + 5 * (events % 2)
    again = layer(2, 3) - layer(2, 2)
    assert layer(40, 3) - layer(40, 2) == again + 20 * 38


def test_a_choice_says_how_often_inputs_are_active() -> None:
    rng = np.random.default_rng(3)
    graph = single(rng.integers(-1, 2, (60, 90)), 5, source=UINT8, wrap=16)
    x = rng.integers(0, 255, 90)
    x[rng.random(90) < 0.2] = 0
    programs = [
        compile_graph(graph, find_target("cpm"), {"fc": Choice(THREADED, rates=rates)})
        for rates in ((0.0,) * 90, (), (0.9,) * 90)
    ]
    assert all(differences(program, x[np.newaxis]) == [] for program in programs)
    never, unknown, often = (Runner(program).infer(x).cycles for program in programs)
    assert often < unknown < never
    with pytest.raises(Unsupported, match="fc: the choice has rates of 3 inputs, the layer 90"):
        compile_graph(graph, find_target("cpm"), {"fc": Choice(THREADED, rates=(0.5,) * 3)})


@pytest.mark.parametrize("shift", range(1, 8))
@pytest.mark.parametrize(("weight", "wide"), [(1, False), (2, True)])
def test_units_of_sums_cost_a_test_or_their_value(shift: int, weight: int, wide: bool) -> None:
    """Ten units, so the scan's loop is not closed; each column has two events.

    What is shifted by 7 fits a byte, whatever the sum.
    """
    high = 0x7FFF if wide else 0xFF
    source = Tensor("x", (10,), INT16, bounds=Range(0, high))
    one = linear("one", source, weight * np.eye(10), -1, requantization(1, shift, low=0), wrap=16)
    two = linear("fc", one.output, [[-2] * 10], 0x27FF, wrap=16)
    graph = graph_of(one, two, source=source)
    assert forms(graph) == ["sums"]
    value = (1 << shift) + 1
    times = [cycles(graph, [value] * active + [0] * (10 - active)) for active in (1, 4, 7)]
    active = 115 + 12 * shift + 14 * (wide and shift < 7) + 10 + 2 * EVENT + 8
    assert times[1] - times[0] == 3 * (active - 18)
    assert times[2] - times[0] == 6 * (active - 18)


@pytest.mark.parametrize("gain", range(5))
def test_units_of_bytes_cost_a_test_or_their_value(gain: int) -> None:
    bounds = Bounds.summing(10, Range(0, 9), Range(0, 10))
    source = Tensor("x", (10,), UINT8, bounds=bounds)
    one = linear("one", source, np.eye(10), 0, requantization(1, 0, low=0), input_shift=gain)
    two = linear("fc", one.output, [[-2] * 10], 0x27FF, wrap=16)
    graph = graph_of(one, two, source=source)
    assert forms(graph) == ["sums8"]
    times = [cycles(graph, [1] * active + [0] * (10 - active)) for active in (1, 4, 7)]
    active = 133 + 4 * gain + 10 + 2 * EVENT + 8
    assert times[1] - times[0] == 3 * (active - 18)
    assert times[2] - times[0] == 6 * (active - 18)


@pytest.mark.parametrize("hot", [(), (0,), (1, 2), tuple(range(6))])
@pytest.mark.parametrize("bits", [16, 24])
def test_hot_columns_are_lists_and_cold_ones_gaps(bits: int, hot: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    weights = rng.choice([-2, -1, 0, 0, 1], (250, 6))
    graph = single(weights, 3, source=INT16, wrap=bits, how=requantization(1, bits - 16))
    x = rng.integers(-0x8000, 0x7FFF, (6, 6))
    programs = [
        compile_graph(graph, find_target("cpm"), {"fc": Choice(GAPS, columns)})
        for columns in (hot, tuple(range(6)))
    ]
    assert all(differences(program, x) == [] for program in programs)
    some, all_hot = (Runner(program).infer(np.ones(6, np.int64)).cycles for program in programs)
    assert (some > all_hot) == (len(hot) < 6)
    assert (programs[0].flash < programs[1].flash) == (len(hot) < 6)


@pytest.mark.parametrize("weight", [1, -1])
def test_events_of_gaps(weight: int) -> None:
    def layer(events: int) -> int:
        column = np.zeros((250, 1), np.int8)
        column[: 2 * events : 2] = weight
        column[249] = -1
        graph = single(column, 100, wrap=16)
        program = compile_graph(graph, find_target("cpm"), {"fc": Choice(GAPS)})
        return Runner(program).infer(np.array([1])).layer_cycles["fc"]

    group = 10 + 2 * (19 + 35) + 4 * 30 + 13
    assert layer(48) - layer(40) == layer(56) - layer(48) == 2 * group


def test_sums_that_rounding_takes_beyond_16_bits_are_not_handed_on() -> None:
    how = requantization(1, 4, low=0, rounding=Rounding.HALF_UP)
    one = linear("one", Tensor("x", (1,), UINT8), [[1], [-1]], [0x7FFF, 0], how, wrap=16)
    graph = graph_of(one, linear("two", one.output, [[1, 1]]), source=one.input)
    assert forms(graph) == []
    assert differences(compile_with(graph, "cpm", THREADED), np.array([[0], [1], [255]])) == []


def cycles(graph: Graph, x: list[int]) -> int:
    """Those of the layer `fc`."""
    runner = Runner(compile_with(graph, "cpm", THREADED))
    return runner.infer(np.array(x)).layer_cycles["fc"]


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("weight", [1, -1])
def test_an_event_takes_34_t(weight: int, bits: int) -> None:
    def layer(events: int) -> int:
        column = [weight] * events + [0] * (30 - events)
        return cycles(single(np.array([column]).T, 100, wrap=bits), [1])

    longest = 32 if bits == 16 else 16
    for events in (3, 4, 7, 8, 15, 16, 20, 29, 30):
        runs = -(-events // longest) - 1
        expected = EVENT * (events - 2) + 10 * runs + 5 * (events % 2)
        assert layer(events) - layer(2) == expected


@pytest.mark.parametrize(
    ("weights", "extra"),
    [([1, -1], 0), ([1, 1, -1, -1], 0), ([1, 1, 1, -1], 0), ([1, 1, -1], 5), ([1, -1, -1], 5)],
)
def test_runs_of_odd_lengths_share_a_pair(weights: list[int], extra: int) -> None:
    def layer(column: list[int]) -> int:
        padded = column + [0] * (4 - len(column))
        return cycles(single(np.array([padded]).T, 100, wrap=16), [1])

    one_run_more = 10
    expected = EVENT * (len(weights) - 2) + extra + one_run_more
    assert layer(weights) - layer([-1, -1]) == expected


@pytest.mark.parametrize(
    ("bits", "weight", "bias", "carry"),
    [(16, 1, 250, 36), (16, -1, 5, 36), (24, 1, 0, 48), (24, -1, 0, 59 + 14)],
)
def test_a_carry_takes_some_more(bits: int, weight: int, bias: int, carry: int) -> None:
    """Accumulators of 16 bits begin at their bias here, those of 24 bits at 128."""
    graph = single([[weight]], bias, wrap=bits)
    assert cycles(graph, [200]) - cycles(graph, [1]) == carry


def test_a_carry_beyond_the_second_byte() -> None:
    def layer(weight: int, inputs: int) -> int:
        graph = single([[weight] * 1000], 0, requantization(1, 8), wrap=24)
        return cycles(graph, [255] * inputs + [0] * (1000 - inputs))

    def carries(start: int, step: int, inputs: int, bits: int) -> int:
        sums = (start + step * np.arange(inputs + 1)) >> bits
        return int(np.abs(np.diff(sums)).sum())

    def cost(weight: int, inputs: int) -> int:
        second, third = (carries(128, 255 * weight, inputs, bits) for bits in (8, 16))
        return (48 if weight > 0 else 59) * second + 14 * third

    for weight in (1, -1):
        none = layer(weight, 0)
        event = layer(weight, 1) - none - cost(weight, 1)
        assert layer(weight, 400) - none == 400 * event + cost(weight, 400)


@pytest.mark.parametrize(
    ("source", "inactive", "group"), [(UINT8, 20, 10), (INT8, 20, 10), (INT16, 33, 6)]
)
def test_an_inactive_input(source: DType, inactive: int, group: int) -> None:
    def layer(inputs: int) -> int:
        return cycles(single(np.ones((3, inputs)), source=source, wrap=16), [0] * inputs)

    assert layer(4 * group) - layer(3 * group) == group * inactive + 18
    assert layer(4 * group + 2) - layer(4 * group + 1) == inactive


def test_it_needs_the_stack_pointer() -> None:
    with pytest.raises(
        Unsupported, match=r"fc: threaded-lists borrows .* on cpm-ei; use .*index-lists"
    ):
        compile_with(single([[1]]), "cpm-ei", THREADED)


@pytest.mark.parametrize("encoding", [THREADED, GAPS])
@pytest.mark.parametrize(("multiplier", "pushed"), [(1, 0), (3, 2)])
def test_the_stack_is_used_by_requantization_alone(
    encoding: str, multiplier: int, pushed: int
) -> None:
    graph = single(np.ones((9, 20)), 5, requantization(multiplier, 3), source=INT16, wrap=16)
    run = Runner(compile_with(graph, "cpm", encoding)).infer(np.full(20, -300))
    assert run.stack_peak == 2 + pushed  # the return address, and that
