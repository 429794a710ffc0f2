"""The stack pointer as a data pointer: given back, interrupts masked, or not borrowed at all."""

import numpy as np
import pytest
from builders import differences, encode_all, reads, single, tiny_graph, weights_of, with_kernels

from emulators.base import MemoryMap, StopReason
from emulators.zilog import Z80
from kernels.asm import Assembly
from kernels.compile import compile_graph
from kernels.emit import Job
from kernels.passes.ranges import prove_ranges
from kernels.target import find_target
from kernels.toolchain import assemble
from kernels.z80.isa import Z80 as ISA
from kernels.z80.stack_pointer import borrowed, may_borrow


def a_job(target: str) -> Job:
    graph = tiny_graph()
    return Job(graph.nodes[0], find_target(target), ISA, prove_ranges(graph), {})


@pytest.mark.parametrize(
    ("target", "masked"), [("cpm", True), ("msx", True), ("spectrum", False), ("z80", False)]
)
def test_borrowing_masks_interrupts_where_there_are_any(target: str, masked: bool) -> None:
    job = a_job(target)
    with borrowed(job):
        job.code.emit("pop hl")
    around = [instruction.text.split()[0] for instruction in job.code.block.instructions]
    assert around == (["di", "ld", "pop", "ld", "ei"] if masked else ["ld", "pop", "ld"])
    assert job.code.block.cycles == 40 + 10 + (8 if masked else 0)
    assert [(scratch.symbol, scratch.size) for scratch in job.scratches] == [("fc_sp", 2)]


def test_the_stack_is_given_back() -> None:
    job = a_job("cpm")
    with borrowed(job):
        job.code.emit("ld sp,constants\npop hl\nld (0x9000),hl")
    text = f".org 0x100\n.equ fc_sp,0x9010\n{job.code.text()}ret\nconstants: .byte 5,6\n"
    linked = assemble(text, find_target("cpm"))
    cpu = Z80()
    end = 0x100 + len(linked.data)
    memory = MemoryMap((range(0x100, end - 2),), (range(end - 2, end),), (range(0x9000, 0x9020),))
    cpu.load([(0x100, linked.data)], memory)
    result = cpu.call(0x100, limit=1000, stack=0xFEFF, stack_floor=0xFE00)
    assert (result.reason, result.stack_peak) == (StopReason.RETURNED, 2)
    assert cpu.read(0x9000, 2) == b"\5\6"


@pytest.mark.parametrize("encoding", [name for _, name in with_kernels("cpm-ei")])
def test_where_interrupts_are_served_the_stack_pointer_stays(encoding: str) -> None:
    """What a layer does to SP is to push and to pop, in pairs."""
    target = find_target("cpm-ei")
    assert not may_borrow(target)
    rng, source = np.random.default_rng(1), reads(encoding)[0]
    weights = np.intersect1d(weights_of(encoding), [-1, 0, 1])
    graph = single(rng.choice(weights, (12, 40)), source=source)
    program = compile_graph(graph, target, encode_all(graph, encoding))
    code = Assembly(ISA)
    layers = program.source.split("infer:")[1].split("infer_end:")[0]
    code.emit("\n".join(row for row in layers.splitlines() if ".org" not in row))
    moves = [i.text for i in code.block.instructions if "sp" in i.writes]
    assert all(text.split()[0] in ("push", "pop", "call", "ret") for text in moves)
    assert differences(program, rng.integers(0, source.high, (2, 40), endpoint=True)) == []
