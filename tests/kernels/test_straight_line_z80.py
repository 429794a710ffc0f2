"""Straight-line code on Z80: sums between layers and in registers; bank to bank; wide inputs."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from builders import STRAIGHT_LINE, differences, graph_of, linear, requantization, single
from counting import assert_words_are_handed_on, everywhere, hidden, network, strained
from numpy.typing import NDArray
from strategies import batch

from harness.errors import RunFailed
from harness.profile import profile
from harness.run import Runner
from kernels.bounds import Bounds
from kernels.choice import Choice, Choices
from kernels.compile import compile_graph, draft_graph, link_draft
from kernels.dtypes import INT8, INT16, UINT8
from kernels.errors import CompilerError, Unsupported
from kernels.image import Kind, Program
from kernels.ir import Range, Tensor
from kernels.passes.link import in_window
from kernels.shared_sums import share
from kernels.target import Interrupts, Target, find_target
from kernels.z80.words import Loader, Term, chained

ROM, CPM = find_target("msx-rom"), find_target("cpm")
SERVED = replace(ROM, interrupts=Interrupts.SERVED)
EVERYWHERE = pytest.mark.parametrize(
    "target", [ROM, SERVED, CPM, find_target("cpm-ei")], ids=lambda t: f"{t.name}-{t.interrupts}"
)
BANK = 0x4000


@EVERYWHERE
def test_a_network_like_tinychat(target: Target) -> None:
    graph = network()
    plan = everywhere(graph)
    draft = draft_graph(graph, target, plan)
    assert_words_are_handed_on(draft)


@pytest.mark.parametrize("second", ["threaded-lists", STRAIGHT_LINE])
@pytest.mark.parametrize("first", ["threaded-lists", STRAIGHT_LINE])
@pytest.mark.parametrize("units", [1, 16, 17, 18, 34, 255, 256, 300])
def test_sums_of_a_byte_are_what_others_write_and_read(first: str, second: str, units: int) -> None:
    """Counted in registers, in blocks of 17, on more than one page."""
    graph = network((units, 9, 5))
    plan: Choices = everywhere(graph, second) | {"fc0": first}
    program = compile_graph(graph, ROM, plan)
    assert program.forms["fc0_out"] == "sums8"
    assert differences(program, strained(graph)) == []


def test_counts_that_no_bank_holds_lie_in_memory() -> None:
    """Each input's code is as long as in the block where it is longest."""
    source = Tensor("x", (1001,), UINT8, bounds=Bounds.summing(1001, Range(0, 9), Range(0, 9)))
    how = requantization(1, 2, low=0, high=INT16.high)
    weights = np.ones((18, 1001))
    fc0 = linear("fc0", source, weights, np.arange(18), how, wrap=16, input_shift=5)
    graph = graph_of(fc0, hidden("fc1", fc0.output, 3, 1), source=source)
    program = compile_graph(graph, ROM, everywhere(graph))
    assert "fc0_counts0" not in program.image.symbols
    inputs = np.zeros((3, 1001), np.int64)
    inputs[0, [0, 7, 1000]], inputs[1, 1000] = 3, 9
    assert differences(program, inputs) == []


@EVERYWHERE
@pytest.mark.parametrize("value", [0, 1, 254, 255, 256, 257, 510, 511, 512, 4095, 8191, 16_320])
def test_inputs_of_any_size_walk_often_enough(target: Target, value: int) -> None:
    weights = [[1, 1, -1], [-1, 0, 1], [2, -2, 1]]
    bounds = Range(0, 16_320)
    graph = single(weights, [5, -6, 7], source=INT16, bounds=bounds, wrap=16)
    program = compile_graph(graph, target, everywhere(graph))
    inputs = np.array([[value, 0, 0], [0, value, 3], [7, 256, value]])
    assert differences(program, inputs) == []


@pytest.mark.parametrize("most", [255, 256, 300, 511, 512, 4000, 16_320])
def test_a_bound_knows_how_often_columns_are_walked(most: int) -> None:
    graph = single([[1]], source=INT16, bounds=Range(0, most), wrap=16)
    draft = draft_graph(graph, CPM, everywhere(graph))
    program = link_draft(draft)
    runner, column = Runner(program), program.image.symbols["fc_i0_column"]

    def walks(x: int) -> int:
        profile = runner.infer(np.array([x]), profile=True).profile
        assert profile is not None
        return int(profile.counts[profile.pcs == column].sum())

    found = max(map(walks, (most, most - 1, most & ~0xFF)))
    assert found == draft.emission.jobs[0].limits.get("fc_i0_column", 1)


@pytest.mark.parametrize("shift", [0, 1, 2, 7])
def test_words_of_any_value_and_shift(shift: int) -> None:
    """All that a sum of 16 bits may be, so also those near its ends, is shifted and cut off."""
    source = Tensor("x", (2,), INT16, bounds=Range(0, 16_000))
    how = requantization(1, shift, low=0, high=INT16.high)
    one = linear("one", source, [[2, 0], [0, 2], [-1, -1], [1, 1]], [-3, 2, 127, 128], how)
    two = linear("two", one.output, np.array([[1, -1, 1, 0]]), 0, wrap=16)
    graph = graph_of(one, two, source=source, outputs=["two_out"])
    values = [0, 1, 2, 3, 4, 63, 64, 65, 127, 128, 255, 256, 8191, 16_000]
    inputs = np.array([[a, b] for a in values for b in values[::-1]])
    if shift:
        program = compile_graph(graph, CPM, everywhere(graph))
        assert program.forms == {"one_out": "words"}
        assert differences(program, inputs) == []
    else:
        with pytest.raises(
            Unsupported, match=r"two: straight-line adds 255 at a time, .* lie 32,002"
        ):
            compile_graph(graph, CPM, everywhere(graph))


def test_a_network_across_banks() -> None:
    """Columns go on in the next bank, each as a whole in one; no bank is left half empty."""
    source = Tensor("x", (200,), UINT8, bounds=Range(0, 255))
    one = hidden("one", source, 150, 1)
    graph = graph_of(one, hidden("two", one.output, 90, 2), source=source)
    choices = {n: Choice(STRAIGHT_LINE, (), (0.02,) * k) for n, k in (("one", 200), ("two", 150))}
    draft = draft_graph(graph, ROM, choices)
    program = link_draft(draft)
    banks = [part for part in program.image.parts if part.kind is Kind.BANKED_CODE]
    assert len(banks) > 8
    for part in banks:
        first, last = (at - ROM.code.origin for at in (part.address, part.address + part.size - 1))
        assert first // BANK == last // BANK > 0
    assert sum(part.size for part in banks) > (len(banks) - 2) * (BANK - 1000)
    assert differences(program, batch(graph, 2)) == []
    symbols = program.image.symbols
    assert symbols["one_part1"] == ROM.code.origin + 2 * BANK
    bank_0 = draft.budgets[2]
    assert bank_0.needed < 3_000


def test_a_profile_knows_the_banks() -> None:
    """What runs in the window belongs to the layer whose bank shows."""
    graph = network()
    runner = Runner(compile_graph(graph, ROM, everywhere(graph)))
    result = profile(runner, strained(graph)[3])
    assert sum(result.layers.values()) == result.cycles
    for layer in ("fc1", "fc2"):
        own = [cost for cost in result.symbols if cost.layer == layer]
        assert sum(cost.cycles for cost in own) == result.layers[layer]
        columns = [cost for cost in own if f"{layer}_i" in cost.symbol]
        assert sum(cost.cycles for cost in columns) > result.layers[layer] / 2


def test_code_in_the_wrong_bank_is_noticed() -> None:
    graph = network()
    program = compile_graph(graph, ROM, everywhere(graph))
    inputs = strained(graph)
    at = program.image.symbols["fc0_hop1"] + 1 - program.image.origin
    assert program.image.data[at] == 2
    data = bytearray(program.image.data)
    data[at] = 200
    broken = replace(program, image=replace(program.image, data=bytes(data)))
    with pytest.raises(RunFailed, match="outside code"):
        Runner(broken).infer(inputs[0])


def test_labels_of_banks_are_as_the_window_shows_them() -> None:
    far = {"here": 0x28000, "there": 0x30000}
    text = "here:\n    jp    nz,there          ; there\n    jr    here\n    ld    hl,here+2"
    assert in_window(text, far) == (
        "here:\n    jp    nz,there-0x30000          ; there\n    jr    here\n"
        "    ld    hl,here-0x28000+2"
    )


def cycles(program: Program, x: Sequence[int]) -> int:
    return Runner(program).infer(np.array(x)).layer_cycles["fc"]


def test_t_states_of_an_event() -> None:
    """32 T, 35 T for the first; a column of 17 has carries in its midst, so a jump."""

    def layer(events: int, *, sign: int = 1) -> int:
        weights = np.zeros((60, 1), int)
        weights[:events] = sign
        rates = Choice(STRAIGHT_LINE, (), (0.01,))
        graph = single(weights, 128, bounds=Range(0, 9), wrap=16)
        return cycles(compile_graph(graph, CPM, {"fc": rates}), [1])

    for sign in (1, -1):
        assert layer(16, sign=sign) - layer(1, sign=sign) == 15 * 32
        assert layer(17, sign=sign) - layer(16, sign=sign) == 32
        assert layer(40, sign=sign) - layer(17, sign=sign) == 23 * 32 + 10


@pytest.mark.parametrize(("source", "inactive", "active"), [(UINT8, 27, 31), (INT16, 34, 63)])
def test_t_states_of_looking_at_an_input(source: object, inactive: int, active: int) -> None:
    """Its one event and the jump over its carry aside, 35 + 10 T."""

    def layer(inputs: int, x: int) -> int:
        bounds = Range(0, 255 if source is UINT8 else 999)
        assert source in {UINT8, INT16}
        dtype = UINT8 if source is UINT8 else INT16
        graph = single(np.ones((1, inputs)), source=dtype, bounds=bounds, wrap=16)
        plan = {"fc": Choice(STRAIGHT_LINE, (), (0.01,) * inputs)}
        return cycles(compile_graph(graph, CPM, plan), [x] * inputs)

    assert layer(9, 0) - layer(8, 0) == inactive
    assert layer(9, 1) - layer(8, 1) == active + 35 + 10


@pytest.mark.parametrize(("form", "inactive", "active"), [("words", 34, 87), ("sums8", 30, 91)])
def test_t_states_of_looking_at_a_unit(form: str, inactive: int, active: int) -> None:
    """One more unit that its bias activates, or does not; its column is one event."""

    def layer(units: int, positive: int) -> int:
        shift = 5 if form == "sums8" else 0
        counts = Bounds.summing(2, Range(0, 99), Range(0, 99))
        source = Tensor("x", (2,), UINT8, bounds=counts if shift else Range(0, 255))
        biases = np.where(np.arange(units) < positive, 100, -100)
        how = requantization(1, 2, low=0, high=INT16.high)
        weights = np.ones((units, 2)) * (1 if shift else 2)
        one = linear("one", source, weights, biases, how, input_shift=shift, wrap=16)
        fc = linear("fc", one.output, np.ones((1, units)), 128, wrap=16)
        plan = {
            "one": Choice(STRAIGHT_LINE, (), (0.01,) * 2),
            "fc": Choice(STRAIGHT_LINE, (), (0.01,) * units),
        }
        graph = graph_of(one, fc, source=source)
        program = compile_graph(graph, CPM, plan)
        assert program.forms == {"one_out": form}
        return cycles(program, [0, 0])

    assert layer(7, 3) - layer(6, 3) == inactive
    assert layer(7, 4) - layer(7, 3) == active - inactive + 35 + 10


def test_t_states_in_registers() -> None:
    """What one more unit of an input costs: an entry, RET and the steps of each block."""

    def layer(weights: Sequence[int], units: int) -> int:
        bounds = Bounds.summing(3, Range(0, 9), Range(0, 9))
        source = Tensor("x", (3,), UINT8, bounds=bounds)
        how = requantization(1, 2, low=0, high=INT16.high)
        column = np.zeros((len(weights), 3), int)
        column[:, 1] = weights
        column[:, 2] = 1  # a unit that nothing raises is none
        fc = linear("fc", source, column, 0, how, wrap=16, input_shift=5)
        end = linear("end", fc.output, [[1] * len(weights)], wrap=16)
        graph = graph_of(fc, end, source=source)
        target = replace(ROM, m1_wait=0)
        program = compile_graph(graph, target, everywhere(graph))
        assert "fc_counts0" in program.image.symbols
        return cycles(program, [0, units, 0])

    for weights, steps in (
        ([0] * 17, 0),
        ([1] * 7 + [0] * 10, 7 * 4),
        ([1] * 7 + [-2] + [0] * 9, 7 * 4 + 2 * 8),
        ([1] * 17, 13 * 4 + 4 * 8 + 8),
        ([1] * 34, 2 * (13 * 4 + 4 * 8 + 8)),
    ):
        dispatch = 10 * -(-len(weights) // 17)
        assert layer(weights, 1) - layer(weights, 0) == 78 + dispatch + steps
        assert layer(weights, 3) - layer(weights, 2) == 48 + dispatch + steps
    assert layer([1] * 34, 0) - layer([1] * 17, 0) == layer([1] * 51, 0) - layer([1] * 34, 0) == 342


def test_ordered_sums_are_the_same_sums() -> None:
    rng = np.random.default_rng(3)
    sharing = share(rng.choice([-1, 0, 0, 1], (40, 80)), np.full(80, 0.5), 2.0, 60)
    terms = [[Term(2 * row)] for row in range(len(sharing.weights))]
    for merge in sharing.merges:
        terms[merge.one].append(Term(2 * merge.shared))
        terms[merge.other].append(Term(2 * merge.shared, merge.sign))
    sums = [tuple(own) for own in terms[:40]]
    order = chained(sums)
    assert sorted(number for number, _ in order) == list(range(40))
    for number, ordered in order:
        assert ordered[0] == sums[number][0]
        assert sorted(ordered, key=lambda t: t.at) == sorted(sums[number], key=lambda t: t.at)
    loaders = Loader("s"), Loader("s")
    plain, better = (
        sum(loader.load(own).count("ld de") for own in list_)
        for loader, list_ in zip(loaders, (sums, [own for _, own in order]), strict=True)
    )
    assert plain - better > 20


def test_starts_in_the_middle_keep_sums() -> None:
    rng = np.random.default_rng(5)
    weights = rng.choice([-2, -1, 0, 1], (30, 60))
    rates = rng.random(60)
    sharing = share(weights, rates, 2.0, 40)
    wanted = rng.integers(-9, 9, 30)
    starts = sharing.middle_starts(wanted, rates)
    x = rng.integers(0, 99, 60)
    sums = sharing.weights.astype(int) @ x + starts
    for merge in sharing.merges:
        sums[merge.one] += sums[merge.shared]
        sums[merge.other] += merge.sign * sums[merge.shared]
    assert np.array_equal(sums[:30], weights @ x + wanted)
    busy = np.abs(sharing.weights.astype(int)) @ rates

    def off(values: NDArray[np.int64]) -> float:
        return float(busy @ ((values % 256 - 128) / 128) ** 2)

    assert off(starts) < 0.7 * off(sharing.starts(wanted, 128))


@pytest.mark.parametrize("dtype", [INT8, INT16])
def test_inputs_below_zero_are_counted_from_the_least(dtype: object) -> None:
    source = INT8 if dtype is INT8 else INT16
    rng = np.random.default_rng(8)
    bounds = Range(-100, 120) if source is INT8 else Range(-2000, 3000)
    graph = single(
        rng.integers(-2, 3, (9, 12)),
        rng.integers(-99, 99, 9),
        requantization(300, 9, low=INT8.low, high=INT8.high),
        source=source,
        bounds=bounds,
        dtype=INT8,
    )
    for target in (CPM, ROM):
        program = compile_graph(graph, target, everywhere(graph))
        assert differences(program, batch(graph, 3)) == []


def test_a_piece_too_large_for_a_bank_is_an_error() -> None:
    graph = single(np.ones((1600, 2)), wrap=16)
    with pytest.raises(CompilerError, match=r"fc_part0: .* bytes are too many for a bank"):
        compile_graph(graph, ROM, {"fc": Choice(STRAIGHT_LINE, (), (0.001, 0.001))})
