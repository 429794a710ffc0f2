"""Programs whose weights lie in banks: exact, placed as said, and refused where bank 0 is full."""

from dataclasses import replace

import numpy as np
import pytest
from builders import (
    DENSE8,
    INDEX_LISTS,
    compile_with,
    differences,
    encode_all,
    graph_of,
    linear,
    only_layer,
    requantization,
    single,
)
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from strategies import batch, graphs

from harness.errors import RunFailed
from harness.run import Runner
from harness.worst_case import program_bound
from kernels.compile import compile_graph, draft_graph
from kernels.dtypes import INT8, INT16, DType
from kernels.encodings import dense8
from kernels.errors import DoesNotFit
from kernels.image import Kind, Program
from kernels.ir import Graph, Range, Tensor
from kernels.target import Interrupts, Target, find_target

ROM = find_target("msx-rom")
SERVED = replace(ROM, interrupts=Interrupts.SERVED)
LOOPS = pytest.mark.parametrize("target", [ROM, SERVED], ids=["off", "served"])
BANK, WINDOW = 0x4000, 0x8000


def full(inputs: int, outputs: int, source: DType = INT8, bounds: Range | None = None) -> Graph:
    """One layer with weights of all values."""
    rng = np.random.default_rng(inputs)
    weights = rng.integers(-128, 128, (outputs, inputs))
    how = requantization(1, 8, low=INT8.low, high=INT8.high)
    biases = rng.integers(-999, 999, outputs)
    return single(weights, biases, how, source=source, bounds=bounds, dtype=INT8)


def banked_parts(program: Program) -> list[tuple[int, int, int]]:
    """Of each part in a bank: the bank, its first byte within, and bytes."""
    return [
        (*divmod(part.address - ROM.code.origin, BANK), part.size)
        for part in program.image.parts
        if part.kind is Kind.BANKED
    ]


@LOOPS
@settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data())
def test_random_graphs_are_bit_exact(target: Target, data: st.DataObject) -> None:
    graph = data.draw(graphs("msx-rom", DENSE8))
    program = compile_graph(graph, target, encode_all(graph, DENSE8))
    assert differences(program, batch(graph, data.draw(st.integers(0, 1 << 32)))) == []


@LOOPS
@pytest.mark.parametrize(
    ("inputs", "outputs", "banks"),
    [
        (64, 256, 1),  # a bank to the last byte
        (64, 257, 2),  # and a pair of rows in the next
        (200, 163, 3),  # banks that pairs do not fill
        (3, 1030, 3),  # more pairs than a counter of 8 bits counts
        (4000, 5, 2),  # two pairs to a bank
        (1, 1, 1),
    ],
)
def test_layers_across_banks(target: Target, inputs: int, outputs: int, banks: int) -> None:
    graph = full(inputs, outputs)
    program = compile_graph(graph, target, encode_all(graph, DENSE8))
    parts = banked_parts(program)
    assert len(parts) == banks
    bound = program_bound(draft_graph(graph, target, encode_all(graph, DENSE8)))
    assert bound is not None
    assert bound >= max(run.cycles for run in Runner(program).infer_all(batch(graph, 1)))
    assert differences(program, batch(graph, 1)) == []


@LOOPS
def test_inputs_of_two_bytes_walk_two_streams(target: Target) -> None:
    graph = full(100, 180, INT16, Range(-30_000, 30_000))
    program = compile_graph(graph, target, encode_all(graph, DENSE8))
    assert {part.name for part in program.image.parts if part.kind is Kind.BANKED} == {
        f"fc_stream{byte}_{block}" for byte in (0, 1) for block in (0, 1)
    }
    assert differences(program, batch(graph, 1)) == []


def test_a_network_of_more_than_64_kib() -> None:
    sizes, rng = (256, 256, 192, 128, 40), np.random.default_rng(3)
    source, nodes = Tensor("x", (sizes[0],), INT8), []
    how = requantization(1, 11, low=INT8.low, high=INT8.high)
    for number, units in enumerate(sizes[1:]):
        before = nodes[-1].output if nodes else source
        weights = rng.integers(-128, 128, (units, before.count))
        nodes.append(linear(f"fc{number}", before, weights, 5, how, dtype=INT8))
    graph = graph_of(*nodes, source=source)
    program = compile_with(graph, "msx-rom", DENSE8)
    assert program.flash > 144_000
    inputs = batch(graph, 1)[:2]
    assert differences(program, inputs) == []
    assert len(np.unique(Runner(program).infer(inputs[0]).outputs["fc3_out"])) > 10


def test_what_lies_in_banks_is_what_the_image_says() -> None:
    graph = full(200, 163)
    program = compile_with(graph, "msx-rom", DENSE8)
    parts = banked_parts(program)
    assert parts == [(1, 0, 40 * 400), (2, 0, 40 * 400), (3, 0, 2 * 400)]
    weights = np.pad(only_layer(graph).weights, ((0, 1), (0, 0)))
    want = np.concatenate([dense8.encode(weights[n : n + 2]) for n in range(0, 164, 2)])
    found = [program.image.data[BANK * bank :][:size] for bank, _, size in parts]
    assert b"".join(found) == want.astype(np.uint8).tobytes()
    assert f".equ fc_stream0_1, {WINDOW:#x}\n" in program.source
    assert ".equ fc_stream0_1_bank, 0x2\n" in program.source


def test_small_layers_share_a_bank() -> None:
    x = Tensor("x", (90,), INT8)
    how = requantization(1, 8, low=INT8.low, high=INT8.high)
    one = linear("one", x, np.full((20, 90), 3), 0, how, dtype=INT8)
    two = linear("two", one.output, np.full((6, 20), -7), 0, how, dtype=INT8)
    program = compile_with(graph_of(one, two, source=x), "msx-rom", DENSE8)
    assert banked_parts(program) == [(1, 0, 1800), (1, 1800, 120)]
    assert f".equ two_stream0_0, {WINDOW + 1800:#x}\n" in program.source


def test_parts_follow_one_another_and_no_bank_is_crossed() -> None:
    program = compile_with(full(200, 163), "msx-rom", DENSE8)
    parts = program.image.parts
    ends = [part.address + part.size for part in parts]
    assert [part.address for part in parts] == [ROM.code.origin, *ends[:-1]]
    assert ends[-1] - ROM.code.origin == program.flash == len(program.image.data)
    assert all(at + size <= BANK for _, at, size in banked_parts(program))


@LOOPS
def test_another_bank_is_noticed(target: Target) -> None:
    """The guard lets only the selected bank's constants be read."""
    graph = full(200, 163)
    program = compile_graph(graph, target, encode_all(graph, DENSE8))
    at = program.image.symbols["fc_stream0_banks"] - program.image.origin + 5
    assert program.image.data[at] == 2
    for bank in (0, 3):
        data = bytearray(program.image.data)
        data[at] = bank
        broken = replace(program, image=replace(program.image, data=bytes(data)))
        with pytest.raises(RunFailed, match=r"read outside declared regions"):
            Runner(broken).infer(batch(graph, 1)[0])


def test_targets_without_banks_have_none() -> None:
    program = compile_with(full(20, 20), "msx", DENSE8)
    assert {part.kind for part in program.image.parts} == {Kind.STARTUP, Kind.CODE, Kind.CONST}
    assert "bank" not in program.source


def test_bank_0_is_a_memory_of_its_own() -> None:
    graph = full(200, 163)
    draft = draft_graph(graph, ROM, encode_all(graph, DENSE8))
    flash, sram, fixed = draft.budgets
    assert [budget.available for budget in draft.budgets] == [256 * BANK, 0xF380 - 0xC000, BANK]
    assert flash.needed == draft.flash == 3 * BANK + 2 * 400
    gaps = sum(part.size for part in draft.parts if part.kind is Kind.UNUSED)
    assert fixed.needed == flash.needed - 82 * 400 - gaps
    assert sram.excess < 0


def test_weights_that_no_bank_takes_must_fit_bank_0() -> None:
    weights = np.where(np.random.default_rng(1).random((300, 100)) < 0.7, 1, 0)
    graph = single(weights, 0, requantization(1, 4))
    with pytest.raises(
        DoesNotFit, match=r"does not fit msx-rom: bank 0 needs .* 16,384 are"
    ) as caught:
        compile_with(graph, "msx-rom", INDEX_LISTS)
    image = [need.size for need in caught.value.needs if need.in_image]
    assert sum(image) == caught.value.budgets[0].needed  # bank 0 is not counted twice
    small = single(weights[:60], 0, requantization(1, 4))
    program = compile_with(small, "msx-rom", INDEX_LISTS)
    assert program.flash < BANK
    assert differences(program, batch(small, 1)) == []
