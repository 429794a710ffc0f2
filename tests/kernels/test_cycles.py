"""Cycles are exact: they repeat, they add up, and they are what the emitters' docstrings say.

Formulas are held against the emulator by differences of programs that differ in one product, event
or input, which leaves out everything that is done once a layer.
"""

from collections.abc import Sequence
from dataclasses import replace

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
    assert_cycles_add_up,
    compile_with,
    graph_of,
    linear,
    only_layer,
    requantization,
    single,
    tiny_graph,
    with_kernels,
)
from numpy.typing import ArrayLike

from harness.run import Runner
from kernels.choice import Choice
from kernels.compile import compile_graph
from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.ir import Bounds, Graph, Range, Tensor
from kernels.quant import Requantization
from kernels.target import find_target

AVRS = ("uno", "mega")
RETURN_ADDRESS = {"uno": 2, "mega": 3, "cpm": 2}


def cycles(graph: Graph, target: str, encoding: str, x: Sequence[int]) -> int:
    """Those of the layer `fc`."""
    runner = Runner(compile_with(graph, target, encoding))
    return runner.infer(np.array(x)).layer_cycles["fc"]


def stack_peak(graph: Graph, target: str, encoding: str, x: Sequence[int]) -> int:
    return Runner(compile_with(graph, target, encoding)).infer(np.array(x)).stack_peak


@pytest.mark.parametrize(("target", "encoding"), with_kernels(*TARGETS))
def test_the_same_input_takes_the_same_cycles(target: str, encoding: str) -> None:
    graph = tiny_graph(encoding)
    program = compile_with(graph, target, encoding)
    runner = Runner(program)
    top = graph.input.dtype.high
    inputs = [np.array(x) for x in ([1, 0, top], [0, 0, 0], [top, top, top])]
    first, again = [[runner.infer(x) for x in inputs] for _ in range(2)]
    fresh = [Runner(program).infer(x) for x in inputs]
    for one, two, three in zip(first, again, fresh, strict=True):
        assert one.cycles == two.cycles == three.cycles
        assert one.layer_cycles == two.layer_cycles == three.layer_cycles
        assert_cycles_add_up(program, one)
    if encoding == INDEX_LISTS:
        assert first[1].cycles < first[0].cycles < first[2].cycles


def zeros(inputs: int, outputs: int, source: DType, wrap: int, bounds: Range | None) -> Graph:
    return single(np.zeros((outputs, inputs)), source=source, wrap=wrap, bounds=bounds)


@pytest.mark.parametrize(
    ("source", "low", "load"),
    [(UINT8, 0, 2), (INT8, 0, 2), (INT8, -1, 3), (INT16, 0, 4), (INT16, -1, 5)],
)
@pytest.mark.parametrize("width", [2, 3, 4])
@pytest.mark.parametrize("target", AVRS)
def test_avr_dense8(target: str, width: int, source: DType, low: int, load: int) -> None:
    def layer(inputs: int, outputs: int) -> int:
        graph = zeros(inputs, outputs, source, 8 * width, Range(low, 5))
        return cycles(graph, target, DENSE8, [0] * inputs)

    product = layer(6, 3) - layer(5, 3) - layer(6, 2) + layer(5, 2)
    assert product == (5 + width if source.size == 1 else 6 + 2 * width)
    if source.size == 2:
        block = 18 // width
    else:
        block = 11 if width == 2 else 24 // width
        load -= width == 2 and low < 0  # signed products need no offset
    two_blocks, one_block = (layer(6, n) - layer(5, n) for n in (2 * block, block))
    assert two_blocks - one_block == block * product + load + 3


@pytest.mark.parametrize(("width", "block"), [(2, 11), (3, 8)])
def test_avr_walk_unrolled_eight_times(width: int, block: int) -> None:
    def layer(inputs: int, outputs: int) -> int:
        return cycles(zeros(inputs, outputs, UINT8, 8 * width, None), "uno", DENSE8, [0] * inputs)

    products = block * (5 + width)
    for inputs in (128, 248):  # inputs of all blocks lie within 256 bytes
        more = layer(inputs + 8, 10 * block) - layer(inputs, 10 * block)
        less = layer(inputs + 8, 9 * block) - layer(inputs, 9 * block)
        assert more - less == 8 * (products + 2) + 4


@pytest.mark.parametrize("width", [2, 3, 4])
@pytest.mark.parametrize("target", AVRS)
def test_avr_inputs_that_are_zero_are_skipped(target: str, width: int) -> None:
    def layer(x: Sequence[int], sparse: bool) -> int:
        graph = zeros(20, 5, UINT8, 8 * width, None)
        fc = only_layer(graph)
        fc = replace(fc, input=replace(fc.input, sparse=sparse))
        return cycles(graph_of(fc, source=fc.input), target, DENSE8, x)

    products = 5 * (5 + width)
    some, none = layer([1] * 20, sparse=True), layer([1, 0] + [1] * 18, sparse=True)
    assert layer([1] * 20, sparse=False) + 20 * 2 + 2 == some  # and the jump over the skip
    assert some - none == (4 + products + 3) - 10


@pytest.mark.parametrize("how", [requantization(1, 4, low=0), requantization(1, 4, low=-5)])
def test_avr_outputs_of_relu_are_tested(how: Requantization) -> None:
    x = Tensor("x", (1,), INT8)
    one = linear("one", x, [[1]] * 20, 0, how)
    graph = graph_of(one, linear("fc", one.output, [[0] * 20] * 5, wrap=16), source=x)
    runner = Runner(compile_with(graph, "uno", DENSE8))
    active, inactive = (runner.infer(np.array([v])).layer_cycles["fc"] for v in (127, 0))
    assert (inactive < active) == (how.low == 0)


@pytest.mark.parametrize("target", ["cpm", "cpm-ei"])
@pytest.mark.parametrize("width", [2, 3, 4])
@pytest.mark.parametrize(
    ("source", "bounds", "pair"),
    [
        (UINT8, Range(0, 127), {"cpm": 103, "cpm-ei": 127}),  # indices of 8 bits
        (INT8, Range(-50, 50), {"cpm": 103, "cpm-ei": 127}),
        (UINT8, None, {"cpm": 134, "cpm-ei": 158}),  # folded indices, none below 0
        (INT8, None, {"cpm": 134, "cpm-ei": 158}),
    ],
)
def test_z80_dense8(
    target: str, width: int, source: DType, bounds: Range | None, pair: dict[str, int]
) -> None:
    """Two outputs and a round of inputs more or less: products, and a round of the loop."""
    served = target == "cpm-ei"

    def layer(inputs: int, outputs: int) -> int:
        graph = single(
            np.full((outputs, inputs), 0 if bounds else 5),
            how=requantization(1, 12),  # so that nothing saturates
            source=source,
            wrap=8 * width,
            bounds=bounds,
        )
        value = 0 if bounds or source is INT8 else 128
        return cycles(graph, target, DENSE8, [value] * inputs)

    unroll = 16 if width == 2 else 4 if served else 8
    rows = [layer(4 * unroll, n) - layer(2 * unroll, n) for n in (4, 2)]
    products = 2 * unroll * (pair[target] + 14 * (width > 2))
    assert rows[0] - rows[1] == products + 2 * (18 if served else 10)
    odd = [layer(2 * unroll, n) for n in (3, 4)]
    finished = [layer(2 * unroll, n) for n in (5, 6)]
    assert odd[1] - odd[0] == finished[1] - finished[0]  # a row of zeros walks along


def test_z80_dense8_folds_indices_below_zero_faster() -> None:
    graph = single([[100] * 16, [-100] * 16], source=INT8, wrap=16)
    above, below = (cycles(graph, "cpm", DENSE8, [0] * 15 + [x]) for x in (100, 101))
    assert above == below
    both_below = cycles(graph, "cpm", DENSE8, [0] * 15 + [-101])
    assert above - both_below == 2


@pytest.mark.parametrize(("target", "first", "second"), [("cpm", 29, 29), ("cpm-ei", 29, 21)])
@pytest.mark.parametrize("inputs", [8, 9, 100])
def test_z80_dense8_takes_more_where_it_carries(
    target: str, first: int, second: int, inputs: int
) -> None:
    def layer(*weights: int) -> int:
        graph = single(
            [[w] * inputs for w in weights], source=INT8, wrap=32, how=requantization(1, 31)
        )
        return cycles(graph, target, DENSE8, [0] * inputs)

    carries = inputs * (127 * 128 // 2) // 65536  # of F(127)
    assert layer(127, 1) - layer(1, 1) == first * carries
    assert layer(1, 127) - layer(1, 1) == second * carries


@pytest.mark.parametrize("weight", [1, -1])
@pytest.mark.parametrize(
    ("target", "event", "jump"), [("uno", 9, 2), ("mega", 9, 2), ("cpm", 45, 10)]
)
def test_index_lists_events(target: str, event: int, jump: int, weight: int) -> None:
    def layer(events: int) -> int:
        column = [weight] * events + [0] * (30 - events)
        return cycles(single(np.array([column]).T, wrap=16), target, INDEX_LISTS, [1])

    for events in (2, 7, 8, 9, 23, 24, 30):
        assert layer(events) - layer(1) == event * (events - 1) + jump * (events // 8)


@pytest.mark.parametrize(
    ("source", "avr", "z80"), [(UINT8, 10, 79), (INT8, 10, 95), (INT16, 13, 92)]
)
@pytest.mark.parametrize("target", TARGETS)
def test_index_lists_inactive_inputs(target: str, source: DType, avr: int, z80: int) -> None:
    def layer(inputs: int) -> int:
        graph = single(np.ones((3, inputs)), source=source, wrap=16)
        return cycles(graph, target, INDEX_LISTS, [0] * inputs)

    assert layer(21) - layer(20) == (z80 if target == "cpm" else avr)


@pytest.mark.parametrize(("hot", "event"), [((), 10), ((0,), 9)])
@pytest.mark.parametrize("weight", [1, -1])
@pytest.mark.parametrize("target", AVRS)
def test_nibble_lists_events(target: str, weight: int, hot: tuple[int, ...], event: int) -> None:
    """Two events at a time, since a byte has two nibbles; from 11 to 13 outputs without a dummy."""

    def layer(events: int) -> int:
        column = [weight] * events + [0] * (13 - events)
        graph = single(np.array([column]).T, wrap=16)
        program = compile_graph(graph, find_target(target), {"fc": Choice(NIBBLE_LISTS, hot)})
        return Runner(program).infer(np.array([1])).layer_cycles["fc"]

    assert layer(5) - layer(3) == layer(7) - layer(5) == 2 * event
    assert layer(13) - layer(5) == 8 * event + 2


def narrow_layer(
    weights: ArrayLike, x: ArrayLike, target: str = "uno", hot: tuple[int, ...] = (), bias: int = 0
) -> int:
    """Cycles of a layer of nibble lists whose sums have 8 bits, of which a list is made."""
    matrix = np.array(weights)
    count = matrix.shape[1]
    bounds = Bounds.summing(count, Range(0, 9), Range(0, 9))
    source = Tensor("x", (count,), UINT8, bounds=bounds)
    how = requantization(1, 2, low=0, high=INT16.high)
    one = linear("one", source, matrix, bias, how, input_shift=3)
    two = linear("two", one.output, np.ones((1, len(matrix))))
    choices = {"one": Choice(NIBBLE_LISTS, hot), "two": TRITS}
    program = compile_graph(graph_of(one, two, source=source), find_target(target), choices)
    return Runner(program).infer(np.array(x)).layer_cycles["one"]


@pytest.mark.parametrize(("hot", "event"), [((), 10), ((0,), 9)])
@pytest.mark.parametrize("weight", [1, -1])
@pytest.mark.parametrize("target", AVRS)
def test_narrow_lists_events(target: str, weight: int, hot: tuple[int, ...], event: int) -> None:
    """An event of an input of 1, which activates no output, since all need more."""

    def layer(events: int) -> int:
        weights = np.full((13, 2), 1)
        weights[:, 0] = [weight] * events + [0] * (13 - events)
        return narrow_layer(weights, [1, 0], target, hot, bias=-9)

    assert layer(5) - layer(3) == layer(7) - layer(5) == 2 * event
    assert layer(13) - layer(5) == 8 * event + 2


@pytest.mark.parametrize(("hot", "fixed"), [((), 45), ((0,), 41)])
def test_narrow_lists_inputs(hot: tuple[int, ...], fixed: int) -> None:
    """Inputs of an empty column, active or not."""

    def layer(inputs: int, value: int) -> int:
        weights = np.full((9, inputs), 1)
        weights[:, 0] = 0
        return narrow_layer(weights, [value] + [0] * (inputs - 1), hot=hot)

    assert layer(23, 0) - layer(16, 0) == 7 * 4
    assert layer(24, 0) - layer(16, 0) == 8 * 4 + 3
    assert layer(16, 1) - layer(16, 0) == fixed


def test_narrow_lists_outputs() -> None:
    """Outputs that are not active, and groups of them, at the start and at the end."""

    def layer(outputs: int, bias: int = 0) -> int:
        return narrow_layer(np.ones((outputs, 8)), [0] * 8, bias=bias)

    for bias, start in ((0, 2), (-9, 5)):
        assert layer(7, bias) - layer(6, bias) == start + 4
        assert layer(14 + 8, bias) - layer(14, bias) == 8 * (start + 4) + 3
        assert layer(28 + 7, bias) - layer(14 + 6, bias) == 16 * start + 2 * 3 + 15 * 4 + 6


@pytest.mark.parametrize(("encoding", "fixed"), [(TRITS, 15), (PAGED_TRITS, 13)])
def test_trits_per_input_and_block(encoding: str, fixed: int) -> None:
    """What an active input adds to a layer, more for two blocks of outputs than for one."""

    def layer(outputs: int, pattern: Sequence[int], wrap: int, inputs: int) -> int:
        block = np.array([pattern] * inputs).T
        graph = single(np.tile(block, (outputs // 5, 1)), wrap=wrap)
        return cycles(graph, "uno", encoding, [1] * inputs)

    def dispatch(pattern: Sequence[int], wrap: int) -> int:
        two, one = (layer(n, pattern, wrap, 3) - layer(n, pattern, wrap, 2) for n in (10, 5))
        return two - one

    for wrap in (16, 24):
        nonzero = wrap // 8
        assert dispatch([0, 0, 0, 0, 0], wrap) == fixed - 2
        for at in range(5):
            assert dispatch(np.eye(5, dtype=int)[at].tolist(), wrap) == fixed + nonzero
            assert dispatch((-np.eye(5, dtype=int)[at]).tolist(), wrap) == fixed + nonzero
        jumps = (dispatch([1, -1, 1, 0, 1], wrap) - fixed - 4 * nonzero) // 2
        assert 0 <= jumps <= (1 if encoding == PAGED_TRITS else 3)
        assert dispatch([0, 2, 0, 0, 0], wrap) == 2 * (fixed + nonzero) + 30
        assert dispatch([0, 0, 0, -2, 0], wrap) == 2 * (fixed + nonzero) + 30


def test_twin_trits_per_input_and_block() -> None:
    """What an active input adds to a layer, more for two blocks of ten outputs than for one."""

    def layer(blocks: int, pattern: Sequence[int], inputs: int) -> int:
        weights = np.tile(np.array([pattern] * inputs).T, (blocks, 1))
        return cycles(single(weights, wrap=16), "uno", TWIN_TRITS, [1] * inputs)

    def dispatch(pattern: Sequence[int]) -> int:
        two, one = (layer(n, pattern, 3) - layer(n, pattern, 2) for n in (2, 1))
        return two - one

    none = [0] * 5
    assert dispatch([*none, *none]) == 23 - 4
    for at in range(5):
        one = np.eye(5, dtype=int)[at].tolist()
        near = [-weight for weight in one]
        assert dispatch([*one, *none]) == dispatch([*none, *one]) == 23 - 2 + 2
        assert dispatch([*near, *none]) == dispatch([*none, *near]) == 23 - 4 + 2
        assert dispatch([*one, *one]) == 23 + 4
    two, late, less = [0, 2, 0, 0, 0], [0, 0, 0, 0, 2], [0, 0, 0, 0, -2]
    assert dispatch([*two, *one]) == 23 + 4 + 32 + 2
    assert dispatch([*one, *late]) == 23 + 4 + 50 + 2
    assert dispatch([*one, *less]) == 23 - 2 + 4 + 48 + 2
    assert dispatch([*two, *late]) == 23 + 4 + 32 + 2 + 50 + 2


@pytest.mark.parametrize("target", AVRS)
@pytest.mark.parametrize("hot", [True, False])
def test_straight_line_per_input_and_block(target: str, hot: bool) -> None:
    """What an active input adds to a layer, more for two blocks of outputs than for one."""

    def layer(outputs: int, wrap: int, weights: Sequence[int]) -> int:
        graph = single(np.array([[w] * outputs for w in weights]).T, wrap=wrap)
        choice = Choice(STRAIGHT_LINE, tuple(range(len(weights))) if hot else ())
        program = compile_graph(graph, find_target(target), {"fc": choice})
        return Runner(program).infer(np.ones(len(weights), int)).layer_cycles["fc"]

    for wrap, block in ((16, 13), (24, 8)):
        for weights in ([1, -1], [1, -1, 2], [1, -1, 2, -2])[: 3 if hot else 1]:
            two, one = (
                layer(n, wrap, weights) - layer(n, wrap, weights[:-1]) for n in (2 * block, block)
            )
            added = abs(weights[-1]) * block * wrap // 8
            assert two - one == (8 if hot else 10) + added


@pytest.mark.parametrize(("source", "inactive"), [(UINT8, 4), (INT8, 4), (INT16, 8)])
@pytest.mark.parametrize("target", AVRS)
def test_scanning_for_active_inputs(target: str, source: DType, inactive: int) -> None:
    def layer(inputs: int) -> int:
        return cycles(
            single(np.ones((3, inputs)), source=source, wrap=16), target, TRITS, [0] * inputs
        )

    assert layer(23) - layer(16) == 7 * inactive
    assert layer(24) - layer(16) == 8 * inactive + 3


@pytest.mark.parametrize(
    ("target", "source"),
    [(t, x) for t in TARGETS for x in (UINT8, INT8, INT16) if (t, x) != ("cpm", INT16)],
)
@pytest.mark.parametrize("wrap", [16, 24, 32])
def test_stack_of_dense8(target: str, source: DType, wrap: int) -> None:
    graph = single(np.full((12, 20), -9), 0, requantization(300, 9), source=source, wrap=wrap)
    extra = 2 if target == "cpm" else RETURN_ADDRESS[target]  # a subroutine on AVR, IX on Z80
    for value in (0, 100):
        peak = stack_peak(graph, target, DENSE8, [value] * 20)
        assert peak == RETURN_ADDRESS[target] + extra


@pytest.mark.parametrize("source", [UINT8, INT8, INT16])
@pytest.mark.parametrize("wrap", [16, 24])
@pytest.mark.parametrize("target", TARGETS)
def test_stack_of_index_lists(target: str, wrap: int, source: DType) -> None:
    graph = single(
        np.full((12, 20), -1),
        0,
        requantization(30, 9),
        source=source,
        bounds=Range(0, 99),
        wrap=wrap,
    )
    extra = 4 if target == "cpm" else 0
    assert stack_peak(graph, target, INDEX_LISTS, [50] * 20) == RETURN_ADDRESS[target] + extra


@pytest.mark.parametrize("target", TARGETS)
def test_stack_of_argmax(target: str) -> None:
    graph = graph_of(argmax(x := Tensor("x", (5,), UINT8)), source=x)
    assert stack_peak(graph, target, DENSE8, [1, 2, 3, 4, 5]) == RETURN_ADDRESS[target]


@pytest.mark.parametrize("target", TARGETS)
def test_the_stack_of_a_program_is_that_of_its_deepest_layer(target: str) -> None:
    x = Tensor("x", (4,), UINT8)
    one = linear("one", x, np.ones((4, 4)), dtype=UINT8, how=requantization(low=0, high=255))
    graph = graph_of(one, linear("two", one.output, np.ones((4, 4))), source=x)
    program = compile_graph(graph, find_target(target), {"one": DENSE8, "two": INDEX_LISTS})
    peak = Runner(program).infer(np.array([1, 2, 3, 4])).stack_peak
    deepest = 4 if target == "cpm" else RETURN_ADDRESS[target]
    assert peak == RETURN_ADDRESS[target] + deepest <= program.target.stack_reserve
