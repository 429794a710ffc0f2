"""Machines that wait in every M1 cycle: T-states plus fetches of opcodes, counted by hand."""

from itertools import product
from typing import Any

import pytest
from gnu_as import Assemble

from emulators.base import EmulatorError, Mark, MemoryMap, StopReason
from emulators.zilog import Z80

ORIGIN = 0x8000
MAP = MemoryMap((range(ORIGIN, 0x8100),), (), (range(0x9000, 0x9400),))
STACK: dict[str, Any] = {"limit": 10_000_000, "stack": 0xFEFF, "stack_floor": 0xFE00}

# Source, T-states, M1 cycles; a final RET takes 10 T and 1 M1 cycle.
GROUPS = {
    "plain": ("nop\nld a, 5\nld bc, 0x1234\n", 4 + 7 + 10, 3),
    "cb": ("ld hl, 0x9000\nbit 3, a\nset 1, (hl)\n", 10 + 8 + 15, 1 + 2 + 2),
    "ed": ("neg\nld (0x9000), bc\nsbc hl, de\nld a, i\n", 8 + 20 + 15 + 9, 8),
    "undefined ed": (".byte 0xed, 0x00\n", 8, 2),
    "dd": ("ld ix, 0x9000\ninc (ix+1)\nadd ix, bc\n", 14 + 23 + 15, 6),
    "fd": ("ld iy, 0x9000\nld (iy+1), 7\npush iy\npop iy\n", 14 + 19 + 15 + 14, 8),
    "dd cb": ("ld ix, 0x9000\nbit 1, (ix+2)\nrlc (ix+2)\n", 14 + 20 + 23, 2 + 2 + 2),
    "fd cb": ("ld iy, 0x9000\nres 1, (iy-0)\n", 14 + 23, 2 + 2),
    "prefixes without effect": (".byte 0xdd, 0xfd, 0xdd, 0x00\n", 16, 4),
    "prefixed ed": (".byte 0xdd\nneg\n", 4 + 8, 3),
    "ldir": ("ld hl, 0x9000\nld de, 0x9100\nld bc, 9\nldir\n", 30 + 8 * 21 + 16, 3 + 9 * 2),
    "djnz": ("ld b, 200\n1: djnz 1b\n", 7 + 199 * 13 + 8, 1 + 200),
    "call": ("call 1f\njr 2f\n1: ret\n2:\n", 17 + 10 + 12, 3),
    "read r": ("ld a, r\nld a, i\n", 18, 4),
    "write r": (
        "ld a, 0x70\nld r, a\nxor a\nld r, a\nld a, 4\nld r, a\n",
        7 + 9 + 4 + 9 + 7 + 9,
        9,
    ),
    # Here R goes up by one, as if LD R,A were one M1 cycle, and by none.
    "write r + 1": ("ld a, r\ninc a\ninc a\ninc a\nld r, a\n", 9 + 12 + 9, 2 + 3 + 2),
    "write r + 0": ("ld a, r\ninc a\ninc a\nld r, a\n", 9 + 8 + 9, 2 + 2 + 2),
}


@pytest.mark.parametrize("name", GROUPS)
def test_waits_of_every_prefix_group(z80_as: Assemble, name: str) -> None:
    source, ticks, m1 = GROUPS[name]
    code = z80_as(source + "ret\n")
    for wait, memory, profile in product((0, 1, 3), (None, MAP), (False, True)):
        cpu = Z80(m1_wait=wait)
        cpu.load([(ORIGIN, code)], memory)
        result = cpu.call(ORIGIN, profile=profile, **STACK)
        assert result.reason is StopReason.RETURNED
        assert result.cycles == ticks + 10 + wait * (m1 + 1)
        if profile:
            assert result.profile is not None
            assert int(result.profile.cycles.sum()) == result.cycles


LOOP = "ld bc, 20000\n1: inc ix\nset 0, (iy+1)\ndec bc\nld a, b\nor c\njr nz, 1b\nret\n"
LOOP_T, LOOP_M1 = 10 + 20000 * (10 + 23 + 6 + 4 + 4 + 12) - 5 + 10, 1 + 20000 * 8 + 1


@pytest.mark.parametrize("mapped", [False, True])
def test_waits_over_many_frames(z80_as: Assemble, mapped: bool) -> None:
    cpu = Z80(m1_wait=1)
    memory = MemoryMap(MAP.code, (), (range(2),)) if mapped else None
    for shift in range(5):
        cpu.load([(ORIGIN, z80_as("nop\n" * shift + LOOP))], memory)
        result = cpu.call(ORIGIN, **STACK)
        assert result.reason is StopReason.RETURNED
        assert result.cycles == LOOP_T + LOOP_M1 + 5 * shift


@pytest.mark.parametrize("profile", [False, True])
def test_marks_and_limits_count_waits(z80_as: Assemble, profile: bool) -> None:
    cpu = Z80(m1_wait=1)
    cpu.load([(ORIGIN, z80_as("ld b, 99\n1: djnz 1b\nret\n"))], MAP)
    marks = tuple(Mark(ORIGIN + 2, 8 + 14 * i) for i in range(99))
    result = cpu.call(ORIGIN, marks=[ORIGIN + 2], profile=profile, **STACK)
    assert result.marks == marks
    assert result.cycles == 8 + 98 * 14 + 9 + 11
    begins_return = 8 + 98 * 14 + 9
    for limit, reason in [
        (begins_return, StopReason.CYCLE_LIMIT),
        (begins_return + 1, StopReason.RETURNED),
    ]:
        result = cpu.call(ORIGIN, profile=profile, **{**STACK, "limit": limit})
        assert result.reason is reason


def test_code_that_the_host_writes_is_looked_at_again(z80_as: Assemble) -> None:
    """LD R,A makes the fast count wrong, so it must be noticed whenever it came."""
    cpu = Z80(m1_wait=1)
    cpu.load([(ORIGIN, bytes(600) + b"\xc9")], MemoryMap((range(ORIGIN, 0x8400),), (), ()))
    assert cpu.call(ORIGIN, **STACK).cycles == 5 * 600 + 11
    cpu.write(ORIGIN + 300, z80_as("ld r, a\n"))
    assert cpu.call(ORIGIN, **STACK).cycles == 5 * 598 + 11 + 11


def test_self_modifying_code_cannot_hide_a_write_of_r(z80_as: Assemble) -> None:
    source = "ld hl, 0x4fed\nld (1f), hl\n1: nop\nnop\nld hl, 0\nld (1b), hl\nret\n"
    cpu = Z80(m1_wait=1)
    cpu.load([(ORIGIN, z80_as(source))])
    result = cpu.call(ORIGIN, **STACK)
    assert result.cycles == (10 + 16 + 9 + 10 + 16 + 10) + (1 + 1 + 2 + 1 + 1 + 1)


def test_waits_are_named_and_not_negative() -> None:
    assert Z80(m1_wait=1).name.startswith("z80 + 1 T per M1 (z80 1.")
    with pytest.raises(EmulatorError, match="wait"):
        Z80(m1_wait=-1)
