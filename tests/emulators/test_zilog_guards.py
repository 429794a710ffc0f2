"""Memory maps: every guard has a kernel that violates it, and one that just does not."""

from itertools import product
from typing import Any

import pytest
from gnu_as import Assemble

from emulators.base import EmulatorError, MemoryMap, StopReason
from emulators.zilog import Z80

ORIGIN = 0x8000
# Code, constants, a gap of one page, data, and the stack from 0xfe00 to 0xfeff.
CODE, CONSTANTS, DATA = range(ORIGIN, 0x8040), range(0x8040, 0x8100), range(0x9000, 0x9100)
MAP = MemoryMap((CODE,), (CONSTANTS,), (DATA,))
STACK: dict[str, Any] = {"limit": 1_000_000, "stack": 0xFEFF, "stack_floor": 0xFE00}
LATE = "ld bc, 9000\n1: dec bc\nld a, b\nor c\njr nz, 1b\n"  # 8 bytes, several frames
LATE_T = 10 + 9000 * 26 - 5
RETURNED = StopReason.RETURNED

FORBIDDEN = [
    # source of one instruction after a LD HL of 10 T, reason, address, T-states
    ("ld (0x803f), a", StopReason.WRITE_TO_CODE, 0x803F, 13),
    ("ld (0x8040), a", StopReason.WRITE_TO_CODE, 0x8040, 13),
    ("ld (0x80ff), a", StopReason.WRITE_TO_CODE, 0x80FF, 13),
    ("ld (0x8100), a", StopReason.BAD_WRITE, 0x8100, 13),
    ("ld (0x8fff), a", StopReason.BAD_WRITE, 0x8FFF, 13),
    ("ld (0x8fff), hl", StopReason.BAD_WRITE, 0x8FFF, 16),
    ("ld (0x9100), a", StopReason.BAD_WRITE, 0x9100, 13),
    ("ld (0x90ff), hl", StopReason.BAD_WRITE, 0x9100, 16),
    ("ld (0xfdff), a", StopReason.BAD_WRITE, 0xFDFF, 13),
    ("ld (0xff00), a", StopReason.BAD_WRITE, 0xFF00, 13),
    ("ld (0xfeff), hl", StopReason.BAD_WRITE, 0xFF00, 16),
    ("ld (0), a", StopReason.BAD_WRITE, 0, 13),
    ("inc (hl)", StopReason.BAD_READ, 0x7FFF, 11),
    ("ld a, (0x7fff)", StopReason.BAD_READ, 0x7FFF, 13),
    ("ld a, (0x8100)", StopReason.BAD_READ, 0x8100, 13),
    ("ld hl, (0x80ff)", StopReason.BAD_READ, 0x8100, 16),
    ("ld a, (0x8fff)", StopReason.BAD_READ, 0x8FFF, 13),
    ("ld a, (0x9100)", StopReason.BAD_READ, 0x9100, 13),
    ("ld a, (0xfdff)", StopReason.BAD_READ, 0xFDFF, 13),
    ("ld a, (0xff00)", StopReason.BAD_READ, 0xFF00, 13),
    ("cp (hl)", StopReason.BAD_READ, 0x7FFF, 7),
    ("in a, (0x12)", StopReason.BAD_ACCESS, 0x0012, 11),
    ("out (0x12), a", StopReason.BAD_ACCESS, 0x0012, 11),
    ("in b, (c)", StopReason.BAD_ACCESS, 0, 12),
    ("halt", StopReason.HALT, None, 4),
]
ALLOWED = [
    "ld (0x9000), a",
    "ld (0x90ff), a",
    "ld (0x90fe), hl",
    "ld (0xfe00), a",
    "ld a, (0x8040)",
    "ld a, (0x80ff)",
    "ld hl, (0x80fe)",
    "ld a, (0x9000)",
    "ld hl, (0x90fe)",
    "ld a, (0xfe00)",
    "ld hl, (0xfefe)",
    "ei\ndi\nim 2",
    ".byte 0xed, 0x00",
]


@pytest.fixture
def cpu() -> Z80:
    return Z80()


@pytest.mark.parametrize("forbidden", FORBIDDEN, ids=lambda case: case[0])
def test_forbidden(cpu: Z80, z80_as: Assemble, forbidden: Any) -> None:
    """Data is as it was before the instruction at fault, and what follows did not happen."""
    source, reason, address, ticks = forbidden
    head = "ld hl, 0x1234\nld (0x9010), hl\nld hl, 0x7fff\nxor a\n"
    code = z80_as(LATE + head + source + "\nld (0x9010), a\nret\n")
    for (entry, late_ticks), profile in product([(8, 0), (0, LATE_T)], (False, True)):
        cpu.load([(ORIGIN, code)], MAP)
        cpu.write(DATA.start, bytes(range(32)))
        before = cpu.read(0x8000, 0x7E00)
        result = cpu.call(ORIGIN + entry, profile=profile, **STACK)
        assert (result.reason, result.pc, result.address) == (reason, ORIGIN + 18, address)
        assert result.cycles == late_ticks + 40 + ticks
        assert cpu.read(0x8000, 0x7E00) == before[:0x1010] + b"\x34\x12" + before[0x1012:]
        if result.profile:
            assert int(result.profile.cycles.sum()) == result.cycles


def test_without_a_map_accesses_are_free(cpu: Z80, z80_as: Assemble) -> None:
    source = "\n".join(case[0] for case in FORBIDDEN if case[2] not in (None, 0xFF00, 0x803F))
    cpu.load([(ORIGIN, z80_as("ld hl, 0x7fff\n" + source + "\nret\n"))])
    assert cpu.call(ORIGIN, **STACK).reason is RETURNED


def test_allowed(cpu: Z80, z80_as: Assemble) -> None:
    for source in ALLOWED:
        cpu.load([(ORIGIN, z80_as(source + "\nret\n"))], MAP)
        for profile in (False, True):
            assert cpu.call(ORIGIN, profile=profile, **STACK).reason is RETURNED, source


def test_block_transfer_is_stopped_at_the_first_byte_outside(cpu: Z80, z80_as: Assemble) -> None:
    source = "ld hl, 0x9000\nld de, 0x90fc\nld bc, 5\nldir\nret\n"
    cpu.load([(ORIGIN, z80_as(source))], MAP)
    cpu.write(0x9000, b"abcde")
    result = cpu.call(ORIGIN, **STACK)
    assert (result.reason, result.pc) == (StopReason.BAD_WRITE, ORIGIN + 9)
    assert (result.address, result.cycles) == (0x9100, 30 + 4 * 21 + 16)
    assert cpu.read(0x90FC, 5) == b"abcd\0"


@pytest.mark.parametrize(
    ("address", "reason"),
    [(0x7FFF, "bad"), (0x8000, "bad"), (0x803F, "bad"), (0x8040, "good")],
)
def test_code_is_not_data_in_traced_calls(
    cpu: Z80, z80_as: Assemble, address: int, reason: str
) -> None:
    cpu.load([(ORIGIN, z80_as(f"ld ix, {address - 5}\nld a, (ix+5)\nret\n"))], MAP)
    result = cpu.call(ORIGIN, profile=True, **STACK)
    if reason == "good":
        assert result.reason is RETURNED
    else:
        assert (result.reason, result.address) == (StopReason.BAD_READ, address)
        assert (result.pc, result.cycles) == (ORIGIN + 4, 14 + 19)


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (0x7FFF, StopReason.OUTSIDE_CODE),
        (0x803F, RETURNED),
        (0x8040, StopReason.OUTSIDE_CODE),  # constants are no code
        (0x9000, StopReason.OUTSIDE_CODE),
        (0xFE00, StopReason.OUTSIDE_CODE),
    ],
)
def test_only_code_is_executed(
    cpu: Z80, z80_as: Assemble, target: int, reason: StopReason, profile: bool
) -> None:
    code = z80_as(f"nop\njp {target}\n").ljust(0x3F, b"\0")
    cpu.load([(ORIGIN, code + b"\xc9\xc9")], MAP)
    for address in (0x7FFF, 0x9000, 0xFE00):
        cpu.write(address, b"\xc9")
    result = cpu.call(ORIGIN, profile=profile, **STACK)
    assert result.reason is reason
    if reason is not RETURNED:
        assert (result.pc, result.cycles, result.address) == (ORIGIN + 1, 14, None)


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize(
    "last",
    ["00", "3e01", "21ffff", "cb47", "dd23", "ed44", "dd7e00", "ed5b0090", "dd36ff00", "ddcbff46"],
)
def test_instructions_must_end_within_code(cpu: Z80, last: str, profile: bool) -> None:
    """The bytes behind code are constants, which may be read, but are no operands."""
    instruction = bytes.fromhex(last)
    settings = "dd211090"  # ld ix, 0x9010
    for room in range(1, len(instruction) + 1):
        head = bytes.fromhex(settings) + b"\0" * (0x3C - room) + instruction
        cpu.load([(ORIGIN, head + b"\xc9\xc9")], MAP)
        result = cpu.call(ORIGIN, profile=profile, **STACK)
        start = 0x8040 - room
        assert (result.reason, result.pc) == (StopReason.OUTSIDE_CODE, start)
        whole = room == len(instruction)
        before = 14 + 4 * (0x3C - room)
        assert (result.cycles > before) == whole


def test_stack_pointer_may_read_constants_and_write_data(cpu: Z80, z80_as: Assemble) -> None:
    source = "ld (0x9000), sp\nld sp, 0x8040\npop hl\npop de\nld sp, 0x9010\npush hl\npush de\n"
    cpu.load([(ORIGIN, z80_as(source + "ld sp, (0x9000)\nret\n")), (0x8040, b"abcd")], MAP)
    for profile in (False, True):
        result = cpu.call(ORIGIN, profile=profile, **STACK)
        assert (result.reason, result.stack_peak) == (RETURNED, 2)
        assert cpu.read(0x900C, 4) == b"cdab"


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("ld sp, 0x80fe\npop hl\n", (RETURNED, None)),
        ("ld sp, 0x80ff\npop hl\n", (StopReason.BAD_READ, 0x8100)),
        ("ld sp, 0x9002\npush hl\n", (RETURNED, None)),
        ("ld sp, 0x9001\npush hl\n", (StopReason.BAD_WRITE, 0x8FFF)),
        ("ld sp, 0x8042\npush hl\n", (StopReason.WRITE_TO_CODE, 0x8041)),
        ("ld sp, 0x90ff\nex (sp), hl\n", (StopReason.BAD_READ, 0x9100)),
    ],
)
def test_stack_pointer_as_a_data_pointer(
    cpu: Z80, z80_as: Assemble, source: str, expected: Any, profile: bool
) -> None:
    cpu.load([(ORIGIN, z80_as(source + "ld sp, 0xfefe\nret\n"))], MAP)
    result = cpu.call(ORIGIN, profile=profile, **STACK)
    assert (result.reason, result.address) == expected
    assert result.stack_peak == 2


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize("floor", [0xFEFC, 0xFEFD])
def test_overflow_into_declared_data(cpu: Z80, z80_as: Assemble, floor: int, profile: bool) -> None:
    """One byte decides, and the data right below the stack stays intact."""
    memory = MemoryMap((CODE,), (), (range(0xFE00, floor),))
    cpu.load([(ORIGIN, z80_as("ld hl, 0xffff\npush hl\npop hl\nret\n"))], memory)
    cpu.write(floor - 2, b"ab")
    result = cpu.call(ORIGIN, profile=profile, **{**STACK, "stack_floor": floor})
    overflows = floor > 0xFEFC
    assert result.reason is (StopReason.STACK_OVERFLOW if overflows else RETURNED)
    assert result.address == (floor - 1 if overflows else None)
    assert cpu.read(floor - 2, 2) == b"ab"
    if overflows:
        assert (result.pc, result.cycles) == (ORIGIN + 3, 10 + 11)


def test_another_stack_moves_the_guards(cpu: Z80, z80_as: Assemble) -> None:
    cpu.load([(ORIGIN, z80_as("ld a, (0xfe00)\nret\n"))], MAP)
    for stack, reason in [(0xFEFF, RETURNED), (0xFDFF, StopReason.BAD_READ), (0xFEFF, RETURNED)]:
        result = cpu.call(ORIGIN, limit=100, stack=stack, stack_floor=stack - 0xFF)
        assert result.reason is reason


def test_spectrum_kernel_never_touches_contended_memory(cpu: Z80, z80_as: Assemble) -> None:
    """Under a map of 0x8000-0xffff a return proves the T-states to be those of a Spectrum."""
    memory = MemoryMap((range(0x8000, 0x9000),), (), (range(0x9000, 0xFF00),))
    run: dict[str, Any] = {"limit": 1000, "stack": 0xFFFF, "stack_floor": 0xFF00}
    for source, reason in [
        ("ld a, (0x8fff+1)", RETURNED),
        ("ld a, (0x7fff)", StopReason.BAD_READ),
        ("ld a, (0x4000)", StopReason.BAD_READ),
        ("ld (0x7fff), a", StopReason.BAD_WRITE),
        ("ld (0), hl", StopReason.BAD_WRITE),
        ("ld sp, 0x7fff\npop hl", StopReason.BAD_READ),
        ("ld sp, 0x8000\ncall 0x8000", StopReason.BAD_WRITE),
        ("call 0x7fff", StopReason.OUTSIDE_CODE),
        ("rst 0x18", StopReason.OUTSIDE_CODE),
        ("jp 0x4000", StopReason.OUTSIDE_CODE),
    ]:
        cpu.load([(ORIGIN, z80_as(source + "\nret\n"))], memory)
        assert cpu.call(ORIGIN, **run).reason is reason, source


@pytest.mark.parametrize(
    "memory",
    [
        MemoryMap((range(-1, 5),), (), ()),
        MemoryMap((), (range(0x10001),), ()),
        MemoryMap((), (), (range(0, 10, 2),)),
        MemoryMap((range(5, 3),), (), ()),
        MemoryMap((range(0x8000, 0x9000),), (), (range(0x8FFF, 0xA000),)),
        MemoryMap((), (range(0x8000, 0x9000),), (range(0x8FFF, 0xA000),)),
        MemoryMap((range(0x10000),), (), ()),
    ],
)
def test_impossible_maps_leave_the_machine_as_it_was(cpu: Z80, memory: MemoryMap) -> None:
    cpu.load([(ORIGIN, b"\xc9")], MAP)
    with pytest.raises(EmulatorError):
        cpu.load([], memory)
    assert cpu.call(ORIGIN, **STACK).reason is RETURNED


def test_stack_must_not_overlap_code(cpu: Z80) -> None:
    cpu.load([(ORIGIN, b"\xc9")], MAP)
    with pytest.raises(EmulatorError, match="overlaps"):
        cpu.call(ORIGIN, limit=10, stack=0x8FFF, stack_floor=0x80FF)
    assert cpu.call(ORIGIN, limit=10, stack=0x8FFF, stack_floor=0x8100).reason is RETURNED


def test_marks_lie_in_declared_code(cpu: Z80) -> None:
    cpu.load([(ORIGIN, bytes(0x3F) + b"\xc9\xc9")], MAP)
    assert len(cpu.call(ORIGIN, marks=[0x803F], **STACK).marks) == 1
    with pytest.raises(EmulatorError, match="mark"):
        cpu.call(ORIGIN, marks=[0x8040], **STACK)
