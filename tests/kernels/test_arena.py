"""The arena plan: nothing that lives together overlaps, memory is reused, the mark is right."""

from itertools import combinations

import numpy as np
from builders import INDEX_LISTS, compile_with, graph_of, linear
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.dtypes import INT16, UINT8
from kernels.image import Arena, Buffer
from kernels.ir import Tensor
from kernels.passes.arena import alive_at, plan_arena


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        first = draw(st.integers(-1, 8))
        last = first + draw(st.integers(0, 4))
        align = draw(st.sampled_from([1, 1, 1, 2, 256]))
        found.append(Buffer(f"b{number}", draw(st.integers(1, 700)), align, first, last))
    return found


@settings(derandomize=True, deadline=None, max_examples=300)
@given(wanted=buffers())
def test_no_overlap_aligned_and_no_higher_than_the_mark(wanted: list[Buffer]) -> None:
    arena = plan_arena(wanted)
    assert arena.offsets.keys() == {buffer.symbol for buffer in wanted}
    for one, other in combinations(wanted, 2):
        if one.first <= other.last and other.first <= one.last:
            begin, rival = arena.offsets[one.symbol], arena.offsets[other.symbol]
            assert begin + one.size <= rival or rival + other.size <= begin
    for buffer in wanted:
        assert arena.offsets[buffer.symbol] >= 0
        assert arena.offsets[buffer.symbol] % buffer.align == 0
    ends = [arena.offsets[buffer.symbol] + buffer.size for buffer in wanted]
    assert arena.size == max(ends, default=0)
    assert arena.size >= max((alive_at(wanted, step) for step in range(-1, 13)), default=0)


def test_no_buffers() -> None:
    assert plan_arena([]) == Arena({}, 0)


def test_buffers_that_never_meet_share_their_bytes() -> None:
    chain = [Buffer(f"t{n}", 100, 1, n - 1, n) for n in range(6)]
    arena = plan_arena(chain)
    assert arena.size == 200
    assert {arena.offsets[f"t{n}"] for n in (0, 2, 4)} == {0}


def test_a_small_buffer_fills_the_lowest_gap() -> None:
    wanted = [
        Buffer("first", 300, 256, 0, 3),
        Buffer("second", 300, 256, 0, 3),
        Buffer("fits", 212, 1, 0, 3),
        Buffer("too_large", 213, 1, 0, 3),
    ]
    offsets = plan_arena(wanted).offsets
    assert (offsets["first"], offsets["second"]) == (0, 512)
    assert (offsets["fits"], offsets["too_large"]) == (300, 812)


def test_alive_at_sums_what_a_step_needs() -> None:
    wanted = [Buffer("a", 10, 1, -1, 1), Buffer("b", 5, 1, 1, 2), Buffer("c", 3, 1, 2, 2)]
    assert [alive_at(wanted, step) for step in range(-1, 4)] == [10, 10, 15, 8, 0]


def test_a_chain_of_layers_reuses_memory() -> None:
    x = Tensor("x", (40,), UINT8)
    nodes = []
    source = x
    for number in range(4):
        node = linear(f"fc{number}", source, np.eye(40), dtype=INT16)
        nodes.append(node)
        source = node.output
    program = compile_with(graph_of(*nodes, source=x), "uno", INDEX_LISTS)
    offsets = program.arena.offsets
    assert offsets["t_fc0_out"] == offsets["t_fc2_out"]
    assert offsets["t_fc1_out"] == offsets["t_fc3_out"]
    scratch = 256 + 40 + 2  # two pages of accumulators, with sentinels
    assert program.arena.size == scratch + 80 + 80
    assert program.layer_sram == {
        "fc0": scratch + 40 + 80,
        "fc1": scratch + 160,
        "fc2": scratch + 160,
        "fc3": scratch + 160,
    }


def test_outputs_of_the_graph_keep_their_bytes() -> None:
    x = Tensor("x", (40,), UINT8)
    first = linear("first", x, [[0] * 40] * 40)
    second = linear("second", first.output, [[0] * 40] * 40)
    third = linear("third", second.output, [[0] * 40] * 40)
    graph = graph_of(first, second, third, source=x, outputs=("first_out", "third_out"))
    program = compile_with(graph, "uno", INDEX_LISTS)
    offsets = program.arena.offsets
    assert len({offsets[name] for name in ("t_first_out", "t_second_out", "t_third_out")}) == 3
    assert [where.address for where in program.tensors.values()] == [
        program.target.data.origin + offsets[name] for name in ("t_x", "t_first_out", "t_third_out")
    ]
