"""Every emitter against the reference, bit for bit: random graphs, edges of shapes and values."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import (
    DENSE8,
    INDEX_LISTS,
    NIBBLE_LISTS,
    PAGED_TRITS,
    STRAIGHT_LINE,
    TARGETS,
    TRITS,
    TWIN_TRITS,
    argmax,
    compile_with,
    differences,
    graph_of,
    linear,
    only_layer,
    reads,
    requantization,
    single,
    weights_of,
    widest_accumulator,
    with_kernels,
)
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from strategies import batch, graphs

from kernels.avr.twin_handlers import END, first_places, second_places
from kernels.binary import sign_test
from kernels.choice import Choice
from kernels.compile import compile_graph
from kernels.dtypes import BIT, INT8, INT16, UINT8, DType
from kernels.encodings import twin_trits
from kernels.encodings.trits import PATTERNS
from kernels.errors import DoesNotFit, Unsupported
from kernels.ir import Bounds, Graph, Range, Tensor, verify
from kernels.ops.linear import Linear
from kernels.passes.ranges import prove_ranges
from kernels.quant import Rounding
from kernels.target import find_target

KERNELS = with_kernels(*TARGETS, "cpm-ei")
AVRS = ("uno", "mega")
# Which take twice the SRAM of the inputs.
LISTS_OF_INPUTS = (NIBBLE_LISTS, TRITS, PAGED_TRITS, TWIN_TRITS, STRAIGHT_LINE)
NO_STREAM = (
    INDEX_LISTS,
    NIBBLE_LISTS,
    PAGED_TRITS,
    TWIN_TRITS,
    STRAIGHT_LINE,
)  # with tests of their own
STREAMED = [encoding for _, encoding in with_kernels("mega") if encoding not in NO_STREAM]
PROGRAMS = 50  # of each encoding, on each target


def is_refused(graph: Graph, encoding: str) -> bool:
    """What the emitters say that they do not support."""
    ranges = prove_ranges(graph)
    layers = [node for node in graph.nodes if isinstance(node, Linear)]
    bits = [layer.accumulator_bits(ranges[layer.input.name]) for layer in layers]
    return max(bits) > widest_accumulator(encoding)


@pytest.mark.parametrize(("target", "encoding"), with_kernels(*TARGETS, "attiny85"))
@settings(
    derandomize=True,
    deadline=None,
    max_examples=PROGRAMS,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_random_graphs_are_bit_exact(target: str, encoding: str, data: st.DataObject) -> None:
    graph = data.draw(graphs(target, encoding))
    verify(graph)
    if is_refused(graph, encoding):
        with pytest.raises(Unsupported):
            compile_with(graph, target, encoding)
        assume(False)
    try:
        program = compile_with(graph, target, encoding)
    except DoesNotFit:
        assert target == "attiny85" or (target == "uno" and encoding in LISTS_OF_INPUTS)
        assume(False)
    except Unsupported:
        assert (target, encoding) == ("cpm", STRAIGHT_LINE)  # inputs are too wide for it
        assume(False)
    assert differences(program, batch(graph, data.draw(st.integers(0, 1 << 32)))) == []


@pytest.mark.parametrize(("target", "encoding"), KERNELS)
@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [(1, 1), (2, 254), (7, 255), (8, 256), (9, 257), (255, 9), (256, 10), (257, 11), (1200, 1)],
)
def test_edges_of_blocks_and_loops(target: str, encoding: str, inputs: int, outputs: int) -> None:
    if encoding in LISTS_OF_INPUTS:
        inputs = min(inputs, 400 if target in AVRS else 200)
    rng = np.random.default_rng(inputs)
    weights, source = rng.choice(weights_of(encoding), (outputs, inputs)), reads(encoding)[0]
    how = requantization(1, 7 if source == UINT8 else 0)
    graph = single(weights, rng.integers(-99, 99, outputs), how, source=source)
    assert differences(compile_with(graph, target, encoding), batch(graph, 1)) == []


@pytest.mark.parametrize(("target", "encoding"), KERNELS)
@pytest.mark.parametrize("bits", [16, 24, 32])
def test_both_ends_of_the_accumulator(target: str, encoding: str, bits: int) -> None:
    bits = min(bits, widest_accumulator(encoding))
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    source = reads(encoding)[0]
    top, weights = source.high, [[1], [-1]]
    biases = [high - top, low + top]
    if 0 in weights_of(encoding):
        weights, biases = [*weights, [0], [0]], [*biases, low, high]
    graph = single(weights, biases, requantization(1, max(bits - 16, 0)), source=source)
    assert only_layer(graph).accumulator_bits(graph.input.range) == bits
    program = compile_with(graph, target, encoding)
    assert differences(program, np.array([[0], [1], [top - 1], [top]])) == []


@pytest.mark.parametrize(("target", "encoding"), KERNELS)
@pytest.mark.parametrize("bits", [16, 24])
def test_accumulators_wrap(target: str, encoding: str, bits: int) -> None:
    edge = 1 << (bits - 1)
    weights = [[1, 1], [-1, -1], [1, -1]]
    how, source = requantization(1, bits - 16), reads(encoding)[0]
    top = source.high
    biases = [edge - top - 1, -edge + top, edge - 1]
    graph = single(weights, biases, how, source=source, wrap=bits)
    inputs = np.array([[0, 0], [top, 0], [top, 1], [top, top], [1, 0], [0, 1]])
    assert differences(compile_with(graph, target, encoding), inputs) == []


@pytest.mark.parametrize(("target", "encoding"), [k for k in KERNELS if INT8 in reads(k[1])])
@pytest.mark.parametrize("bounds", [Range(-1, 5), Range(0, 127), Range(-128, -128), Range(3, 3)])
def test_bounds_around_zero(target: str, encoding: str, bounds: Range) -> None:
    held = weights_of(encoding)
    mixed = np.random.default_rng(0).choice(held, 99)
    weights = [[held[-1]] * 99, [held[0]] * 99, mixed]  # so many that a high byte counts
    graph = single(weights, [-3, 3, 300], requantization(1, 3), source=INT8, bounds=bounds)
    assert differences(compile_with(graph, target, encoding), batch(graph, 1)) == []


def relu(units: int, inputs: Tensor, name: str, weights: list[int], shift: int) -> Linear:
    """Weights drawn of these; activations of 16 bits."""
    rng = np.random.default_rng(len(name) + units)
    drawn = rng.choice(weights, (units, inputs.count))
    return linear(
        name,
        inputs,
        drawn,
        rng.integers(-40, 40, units),
        requantization(1, shift, low=0, high=INT16.high),
        wrap=16,
    )


@pytest.mark.parametrize("first", LISTS_OF_INPUTS)
@pytest.mark.parametrize("second", LISTS_OF_INPUTS)
@pytest.mark.parametrize("units", [1, 5, 26, 27, 200])
def test_lists_between_layers(first: str, second: str, units: int) -> None:
    """Activations below and above 255, none, and all; sums that wrap."""
    x = Tensor("x", (40,), INT16)
    one = relu(units, x, "one", [-1, 0, 1], 1)
    two = relu(30, one.output, "two", [-1, 0, 0, 0, 1], 2)
    graph = graph_of(one, two, source=x)
    program = compile_graph(graph, find_target("mega"), {"one": first, "two": second})
    assert "one_list" in program.source
    inputs = batch(graph, units)
    small = [inputs // scale for scale in (1, 300, 3000)]
    assert differences(program, np.concatenate([*small, np.zeros((1, 40), np.int64)])) == []


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("wrap", [16, 24])
@pytest.mark.parametrize("target", ["uno", "mega"])
@pytest.mark.parametrize("encoding", [TRITS, PAGED_TRITS, TWIN_TRITS])
def test_trits_with_many_pairs(encoding: str, target: str, wrap: int, rounding: Rounding) -> None:
    """Patterns of +-2 and of five nonzeros in every block, the outputs of which are rounded."""
    rng = np.random.default_rng(wrap)
    weights = rng.choice([-1, 0, 0, 1], (25, 60))
    weights[2::5, ::4] = -2
    weights[3::5, 1::7] = 2
    weights[:, 50] = 1
    how = requantization(1, 2, rounding=rounding, low=-1000, high=1000)
    graph = single(weights, rng.integers(-99, 99, 25), how, source=INT16, wrap=wrap)
    assert differences(compile_with(graph, target, encoding), batch(graph, 5)) == []


@pytest.mark.parametrize("low", [0, INT16.low])
@pytest.mark.parametrize("reader", [NIBBLE_LISTS, DENSE8])
@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("bias", [0, 99, 9999])
def test_twin_trits_with_pairs_and_late_codes(low: int, reader: str, shift: int, bias: int) -> None:
    """Two codes in one half of ten outputs or in both; high bytes; dense outputs and lists."""
    rng = np.random.default_rng(shift)
    weights = rng.choice([-1, 0, 0, 1], (27, 60))
    weights[2::5, ::4] *= 2
    weights[3::10, 1::7] = 2
    weights[:, 50] = 1
    how = requantization(1, shift, low=low, high=INT16.high)
    x = Tensor("x", (60,), INT16)
    one = linear("one", x, weights, rng.integers(-bias, bias + 1, 27), how, wrap=16)
    two = linear("two", one.output, rng.choice([-1, 0, 1], (9, 27)), wrap=16)
    graph = graph_of(one, two, source=x)
    choices = {"one": TWIN_TRITS, "two": reader}
    program = compile_graph(graph, find_target("uno"), choices)
    assert "one_pairs0:" in program.source
    assert ("one_out" in program.forms) == (low == 0 and reader == NIBBLE_LISTS)
    inputs = batch(graph, 5)
    small = [inputs // scale for scale in (1, 300, 3000)]
    assert differences(program, np.concatenate(small)) == []


@pytest.mark.parametrize(
    ("inputs", "density", "more"),
    [
        (233, 0.1, {}),
        (234, 0.1, {}),
        (233, 1.0, {}),
        (99, 0.1, {"wrap": 24}),
        (99, 0.1, {"how": requantization(3, 1)}),
    ],
)
def test_where_twin_trits_do_not_serve_paged_trits_do(
    inputs: int, density: float, more: dict[str, Any]
) -> None:
    rng = np.random.default_rng(inputs)
    weights = rng.choice([-1, 1], (10, inputs)) * (rng.random((10, inputs)) < density)
    weights[::5] *= int(density > 0.5)  # no pattern without a zero where weights are few
    graph = single(weights, **{"wrap": 16, **more})
    program = compile_with(graph, "uno", TWIN_TRITS)
    twin = inputs <= 233 and not more and density < 0.5
    assert ("twin_trits_next:" in program.source) == twin
    assert differences(program, batch(graph, 5)) == []


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize(("half", "room"), [(0, twin_trits.PAIRS), (1, twin_trits.LATE)])
def test_room_for_pairs_and_late_codes(half: int, room: int, more: int) -> None:
    """As many different patterns as there is room for, and one more."""
    weights = np.zeros((10, 20), np.int8)
    for number in range(room + more):
        weights[5 * half, number] = 2
        weights[1:5, number] = [number // 3**n % 3 - 1 for n in range(4)]
    graph = single(weights, wrap=16)
    program = compile_with(graph, "uno", TWIN_TRITS)
    assert ("twin_trits_next:" in program.source) == (more == 0)
    assert differences(program, batch(graph, 5)) == []


def test_handlers_of_ten_outputs_begin_within_their_pages() -> None:
    """Places are bytes, and no two codes share one; pairs and the end have places of their own."""
    codes = np.arange(len(PATTERNS))
    block = twin_trits.encode(np.zeros((10, 1), np.int8))
    others = np.arange(len(PATTERNS), len(PATTERNS) + twin_trits.LATE)
    for places in (
        [*first_places(block, np.concatenate([codes, others])), END],
        second_places(codes),
    ):
        assert len(set(places)) == len(places)
        assert 0 == min(places) <= max(places) <= 255


@pytest.mark.parametrize("encoding", [NIBBLE_LISTS, STRAIGHT_LINE])
@pytest.mark.parametrize("total", [40, 60, 81, 127])
@pytest.mark.parametrize("hot", [(), (0, 2, 5, 6), tuple(range(20))])
def test_sums_of_eight_bits(encoding: str, total: int, hot: tuple[int, ...]) -> None:
    """A promised sum of inputs, spent on one input and on many, at its bound and below."""
    each = Range(0, 255)
    x = Tensor("x", (20,), UINT8, bounds=Bounds.summing(20, each, Range(0, total)))
    rng = np.random.default_rng(total)
    weights = rng.choice([-2, -1, 0, 0, 1], (60, 20))
    how = requantization(1, 2, low=0, high=INT16.high)
    one = linear("one", x, weights, rng.integers(-40, 40, 60), how, input_shift=5, wrap=16)
    two = linear("two", one.output, rng.choice([-1, 0, 1], (9, 60)), wrap=16)
    graph = graph_of(one, two, source=x)
    choices = {"one": Choice(encoding, hot), "two": STRAIGHT_LINE}
    program = compile_graph(graph, find_target("mega"), choices)
    fragments = program.source.split("; one_o0_s0:")[-1].split("; two_o0_s0:")[0]
    wide = "columns1" if encoding == NIBBLE_LISTS else "adc"
    assert (wide in fragments) == (total > 81)
    inputs = [*(np.eye(20, dtype=int) * total), np.zeros(20, int), *np.eye(20, dtype=int)]
    inputs += [rng.multinomial(total, rng.dirichlet(np.ones(20))) for _ in range(20)]
    assert differences(program, np.array(inputs)) == []


@pytest.mark.parametrize("outputs", [13, 14, 15, 28, 42, 237])
@pytest.mark.parametrize("hot", [(), (0, 1)])
def test_ends_of_nibble_lists_are_met_by_no_other_list(outputs: int, hot: tuple[int, ...]) -> None:
    """Lists that end far behind their last output step over dummies; none is a sentinel."""
    weights = np.zeros((outputs, 4), int)
    weights[0] = [-1, 1, -1, 1]
    program = compile_graph(
        graph := single(weights, wrap=16), find_target("uno"), {"fc": Choice(NIBBLE_LISTS, hot)}
    )
    assert differences(program, np.full((2, 4), graph.input.range.high)) == []


@pytest.mark.parametrize(
    ("target", "outputs"),
    [("uno", n) for n in (13, 14, 27, 237, 238, 255)] + [("mega", 255), ("attiny85", 27)],
)
@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("bias", [2, 40])
def test_nibble_lists_write_lists(target: str, outputs: int, narrow: bool, bias: int) -> None:
    """Active lists from one block and from two, of sums of 8 bits or more, small biases or not."""
    each, rng = Range(0, 255), np.random.default_rng(outputs)
    bounds = Bounds.summing(9, each, Range(0, 60)) if narrow else Range(0, 60)
    x = Tensor("x", (9,), UINT8, bounds=bounds)
    weights = rng.choice([-2, -1, 0, 0, 0, 1], (outputs, 9))
    weights[-1, :2] = 1
    how = requantization(1, 2, low=0, high=INT16.high)
    biases = rng.integers(-bias, bias, outputs)
    one = linear("one", x, weights, biases, how, input_shift=5, wrap=16)
    two = linear("two", one.output, rng.choice([-1, 0, 1], (5, outputs)), wrap=16)
    graph = graph_of(one, two, source=x)
    program = compile_graph(graph, find_target(target), {"one": NIBBLE_LISTS, "two": NIBBLE_LISTS})
    assert program.forms == {"one_out": "active list"}
    assert ("one_b0_take:" in program.source) == narrow
    inputs = [*(np.eye(9, dtype=int) * 60), np.zeros(9, int), *np.eye(9, dtype=int)]
    inputs += [rng.multinomial(60, rng.dirichlet(np.ones(9))) for _ in range(9)]
    assert differences(program, np.array(inputs)) == []


@pytest.mark.parametrize("dtype", [UINT8, INT8, INT16])
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("target", TARGETS)
def test_every_value_saturates_and_rounds(target: str, rounding: Rounding, dtype: DType) -> None:
    how = requantization(
        [1, 3, 300], 4, rounding=rounding, zero_point=9, low=dtype.low, high=dtype.high
    )
    graph = single([[2], [-1], [1]], [7, 8, -9], how, source=INT8, dtype=dtype)
    every = np.arange(-128, 128)[:, np.newaxis]
    assert differences(compile_with(graph, target, INDEX_LISTS), every) == []


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", [UINT8, INT8, INT16])
@pytest.mark.parametrize("count", [1, 2, 255, 256])
def test_argmax_takes_the_first_of_equals(target: str, dtype: DType, count: int) -> None:
    graph = graph_of(argmax(x := Tensor("x", (count,), dtype)), source=x)
    rows = [np.full(count, value) for value in (dtype.low, 0, dtype.high)]
    for at in {0, count // 2, count - 1}:
        peak = np.full(count, dtype.low)
        peak[at:] = dtype.low + 1
        rows += [peak, -1 - peak if dtype.signed else 255 - peak]
    rng = np.random.default_rng(count)
    rows += list(rng.integers(dtype.low, dtype.high, (3, count), endpoint=True))
    rows += list(rng.integers(max(dtype.low, -2), 1, (3, count), endpoint=True))
    assert differences(compile_graph(graph, find_target(target)), np.array(rows)) == []


@pytest.mark.parametrize("target", TARGETS)
def test_encodings_mix_in_one_graph(target: str) -> None:
    rng = np.random.default_rng(5)
    how = requantization(1, 7, low=0, high=UINT8.high)
    x = Tensor("x", (20,), UINT8)
    one = linear("one", x, rng.integers(-128, 128, (30, 20)), 0, how, dtype=UINT8)
    how = replace(how, shift=3)
    two = linear("two", one.output, rng.integers(-2, 3, (12, 30)), 50, how, dtype=UINT8)
    three = linear("three", two.output, rng.integers(-128, 128, (5, 12)), -9)
    graph = graph_of(one, two, three, argmax(three.output), source=x, outputs=("winner",))
    graph = replace(graph, outputs=("three_out", "winner"))
    program = compile_graph(graph, find_target(target), {"two": INDEX_LISTS})
    assert program.encodings == {"one": DENSE8, "two": INDEX_LISTS, "three": DENSE8}
    assert differences(program, batch(graph, 3)) == []


@pytest.mark.parametrize(
    ("hidden", "behind"),
    [
        (230, ("fc1_stream", "fc2_b0_starts")),  # all of the second layer lies in the far half
        (207, ("fc2_b0_starts", "fc2_b0_lists")),  # the table of columns lies across the border
        (205, ("fc2_b0_lists", "fc2_b0_outputs")),  # the lists do
    ],
)
def test_constants_beyond_64_kib(hidden: int, behind: tuple[str, str]) -> None:
    rng = np.random.default_rng(hidden)
    how = requantization(1, 12, low=0, high=UINT8.high)
    x = Tensor("x", (300,), UINT8)
    one = linear("fc1", x, rng.integers(-128, 128, (hidden, 300)), 3, how, dtype=UINT8)
    two = linear("fc2", one.output, rng.integers(-2, 3, (120, hidden)), -5)
    three = linear("fc3", two.output, rng.integers(-128, 128, (9, 120)), 77)
    graph = graph_of(
        one, two, three, argmax(three.output), source=x, outputs=("fc2_out", "fc3_out", "winner")
    )
    program = compile_graph(graph, find_target("mega"), {"fc2": INDEX_LISTS})
    near, far = (program.image.symbols[name] for name in behind)
    assert near < 0x10000 < far
    assert program.image.symbols["fc3_stream"] > 0x10000
    assert differences(program, batch(graph, 1)) == []


@pytest.mark.parametrize("bias", [2, 40])
def test_narrow_lists_beyond_64_kib(bias: int) -> None:
    rng = np.random.default_rng(3)
    x = Tensor("x", (20,), UINT8, bounds=Bounds.summing(20, Range(0, 255), Range(0, 60)))
    how = requantization(1, 2, low=0, high=INT16.high)
    biases = rng.integers(-bias, bias, 60)
    one = linear("one", x, rng.integers(-1, 2, (60, 20)), biases, how, input_shift=5, wrap=16)
    two = linear("two", one.output, rng.choice([-1, 1], (360, 60)), wrap=16)
    graph = graph_of(one, two, source=x)
    choices = {"one": Choice(NIBBLE_LISTS, (3, 4)), "two": STRAIGHT_LINE}
    program = compile_graph(graph, find_target("mega"), choices)
    assert program.image.symbols["one_b0_columns"] > 0x10000
    inputs = [*(np.eye(20, dtype=int) * 60), *rng.multinomial(60, np.full(20, 0.05), 9)]
    assert differences(program, np.array(inputs)) == []


@pytest.mark.parametrize(("rows", "last"), [(300, 0), (260, 8)])
def test_pages_beyond_64_kib(rows: int, last: int) -> None:
    """All of a layer's pages but the first ones; pairs; inputs with high bytes."""
    rng = np.random.default_rng(1)
    x, how = Tensor("x", (30,), UINT8), requantization(1, 1, low=0, high=INT16.high)
    one = linear("one", x, rng.choice([-1, 0, 0, 1], (50, 30)), 3, how)
    weights = rng.choice([-1, 0, 0, 1], (60, 50))
    weights[::5, ::5] *= 2
    two = linear("two", one.output, weights, rng.integers(-500, 500, 60), how)
    three = linear("three", two.output, rng.choice([-1, 1], (rows, 60)), wrap=24)
    graph = graph_of(one, two, three, source=x)
    choices = {"one": PAGED_TRITS, "two": PAGED_TRITS, "three": STRAIGHT_LINE}
    program = compile_graph(graph, find_target("mega"), choices)
    far = [program.image.symbols[f"two_page{number}"] > 0xFFFF for number in range(12)]
    assert far == [number >= last for number in range(12)]
    assert differences(program, batch(graph, rows)) == []


@pytest.mark.parametrize(("rows", "far"), [(210, False), (211, True)])
def test_constants_are_far_only_where_they_must_be(rows: int, far: bool) -> None:
    graph = single(np.full((rows, 300), 127), source=UINT8)
    program = compile_with(graph, "mega", DENSE8)
    assert (program.flash > 0x10000) == far
    assert ("elpm" in program.source) == far
    assert differences(program, batch(graph, rows)) == []


@pytest.mark.parametrize(("target", "encoding"), with_kernels(*TARGETS))
@pytest.mark.parametrize("inputs", [1, 256, 700])
def test_products_at_their_ends(target: str, encoding: str, inputs: int) -> None:
    """All weights and inputs at one end: the longest sums that there are."""
    if encoding in LISTS_OF_INPUTS and target == "uno":
        inputs = min(inputs, 100)  # its SRAM holds no three lists of more
    if (target, encoding) == ("cpm", STRAIGHT_LINE):
        inputs = min(inputs, 300)  # code of two events for each weight
    held = weights_of(encoding)
    weights = np.repeat([[held[0]], [held[-1]], [held[0]]], inputs, axis=1)
    weights[2, ::2] = held[-1]
    for source in reads(encoding):
        low, high = source.low, source.high
        widest = inputs * max(-low, high) * int(np.abs(held.astype(int)).max()) + 7
        wrap = 24 if widest >= 1 << 23 else None  # what every encoding has
        graph = single(weights, [0, -7, 7], requantization(1, 8), source=source, wrap=wrap)
        try:
            program = compile_with(graph, target, encoding)
        except DoesNotFit:
            assert target == "uno"
            assert encoding in LISTS_OF_INPUTS
            continue
        except Unsupported:
            assert (target, encoding, source) == ("cpm", STRAIGHT_LINE, INT16)
            continue
        rows = [[low] * inputs, [high] * inputs, ([low, high] * inputs)[:inputs]]
        assert differences(program, np.array(rows)) == []


@pytest.mark.parametrize("encoding", STREAMED)
@pytest.mark.parametrize("across", [False, True])
def test_weights_beyond_64_kib(encoding: str, across: bool) -> None:
    """Behind the border, and across it."""
    source = reads(encoding)[0]
    how = sign_test() if source == BIT else requantization(1, 12, low=0, high=255)
    rng = np.random.default_rng(1)
    x = Tensor("x", (300,), UINT8)
    for hidden in range(200, 218) if across else (230,):
        one = linear("fc1", x, rng.integers(-128, 128, (hidden, 300)), 3, how, dtype=source)
        weights = rng.choice(weights_of(encoding), (150, hidden))
        two = linear("fc2", one.output, weights, -5, requantization(1, 4))
        graph = graph_of(one, two, source=x)
        program = compile_graph(graph, find_target("mega"), {"fc1": DENSE8, "fc2": encoding})
        begin = program.image.symbols["fc2_stream"]
        end = next(p.address + p.size for p in program.image.parts if p.name == "fc2 constants")
        if begin > 0x10000 or (across and begin < 0x10000 < end - 600):
            break
    assert (begin < 0x10000 < end) == across
    assert end > 0x10000
    assert differences(program, batch(graph, 1)) == []
