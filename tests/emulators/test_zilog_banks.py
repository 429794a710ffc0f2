"""A ROM in banks: what a write of the register shows, and every guard of it from both sides."""

from itertools import product
from typing import Any

import pytest
from gnu_as import Assemble

from emulators.base import CallResult, EmulatorError, MemoryMap, StopReason
from emulators.z80_banks import Banks
from emulators.zilog import Z80

ORIGIN = 0x4000
BANKS = Banks(ORIGIN, range(0x8000, 0xC000), range(0x7000, 0x7800))
LAST = ORIGIN + 256 * 0x4000
# Constants: the end of bank 0, the first bytes of bank 1, the last ones of bank 2 and of bank 255.
MAP = MemoryMap(
    (range(ORIGIN, 0x4080),),
    (range(0x7FF0, 0x8010), range(0xFFF0, 0x10000), range(LAST - 1, LAST)),
    (range(0xC000, 0xC100),),
)
ROM = [(0x7FF0, b"\xa0" * 16 + b"\xa1" * 16), (0xFFF0, b"\xa2" * 16), (LAST - 1, b"\xaf")]
STACK: dict[str, Any] = {"limit": 1_000_000, "stack": 0xFEFF, "stack_floor": 0xFE00}
LATE = "ld bc, 9000\n1: dec bc\nld a, b\nor c\njr nz, 1b\n"  # 8 bytes, several frames
RETURNED = StopReason.RETURNED


@pytest.fixture
def cpu() -> Z80:
    return Z80(banks=BANKS)


def insert(cpu: Z80, code: bytes) -> None:
    cpu.load([(ORIGIN, code), *ROM], MAP)


@pytest.mark.parametrize(("profile", "late"), list(product([False, True], repeat=2)))
@pytest.mark.parametrize(
    ("bank", "address", "found"),
    [
        (0, 0xBFEF, None),
        (0, 0xBFF0, 0xA0),
        (1, 0x8000, 0xA1),
        (1, 0x800F, 0xA1),
        (1, 0x8010, None),
        (1, 0xBFFF, None),
        (2, 0x8000, None),
        (2, 0xBFEF, None),
        (2, 0xBFF0, 0xA2),
        (2, 0xBFFF, 0xA2),
        (3, 0x8000, None),
        (255, 0xBFFE, None),
        (255, 0xBFFF, 0xAF),
    ],
)
def test_what_the_selected_bank_declares_can_be_read(
    cpu: Z80,
    z80_as: Assemble,
    *,
    bank: int,
    address: int,
    found: int | None,
    profile: bool,
    late: bool,
) -> None:
    select = f"ld a, {bank}\nld (0x7000), a\n"
    source = f"{LATE if late else ''}{select}ld a, ({address:#x})\nld (0xc000), a\nret\n"
    insert(cpu, z80_as(source, ORIGIN))
    result = cpu.call(ORIGIN, profile=profile, **STACK)
    late_ticks = 10 + 9000 * 26 - 5 if late else 0
    if found is None:
        at = ORIGIN + (8 if late else 0) + 5
        assert (result.reason, result.pc, result.address) == (StopReason.BAD_READ, at, address)
        assert result.cycles == late_ticks + 7 + 13 + 13
    else:
        assert (result.reason, result.cycles) == (RETURNED, late_ticks + 7 + 3 * 13 + 10)
        assert cpu.read(0xC000, 1)[0] == found
    assert result.profile is None or int(result.profile.cycles.sum()) == result.cycles


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize(
    ("address", "shown"), [(0x6FFF, None), (0x7000, 0xA1), (0x77FF, 0xA1), (0x7800, None)]
)
def test_the_register_and_its_mirrors(
    cpu: Z80, z80_as: Assemble, address: int, shown: int | None, profile: bool
) -> None:
    insert(cpu, z80_as(f"ld a, 1\nld ({address:#x}), a\nret\n", ORIGIN))
    before = cpu.read(ORIGIN, 0x4000)
    result = cpu.call(ORIGIN, profile=profile, **STACK)
    if shown is None:
        assert (result.reason, result.address) == (StopReason.WRITE_TO_CODE, address)
    else:
        assert result.reason is RETURNED
        assert cpu.read(0x8000, 1)[0] == shown
    assert cpu.read(ORIGIN, 0x4000) == before


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize(
    ("source", "reason", "address"),
    [
        ("ld (0x4000), a", StopReason.WRITE_TO_CODE, 0x4000),
        ("ld (0x7fff), a", StopReason.WRITE_TO_CODE, 0x7FFF),
        ("ld (0x8000), a", StopReason.WRITE_TO_CODE, 0x8000),
        ("ld (0xbfff), a", StopReason.WRITE_TO_CODE, 0xBFFF),
        ("ld (0xc000), a", RETURNED, None),
        ("ld (0x3fff), a", StopReason.BAD_WRITE, 0x3FFF),
        ("ld a, (0x7000)", StopReason.BAD_READ, 0x7000),
        ("ld a, (0x7fef)", StopReason.BAD_READ, 0x7FEF),
        ("ld a, (0x7ff0)", RETURNED, None),
        ("jp 0x8000", StopReason.OUTSIDE_CODE, None),
    ],
)
def test_guards_around_the_banks(
    cpu: Z80,
    z80_as: Assemble,
    *,
    source: str,
    reason: StopReason,
    address: int | None,
    profile: bool,
) -> None:
    insert(cpu, z80_as(f"ld a, 1\nld (0x7000), a\n{source}\nret\n", ORIGIN))
    result = cpu.call(ORIGIN, profile=profile, **STACK)
    assert (result.reason, result.address) == (reason, address)


def test_a_fault_is_found_under_the_bank_that_was_selected_then(cpu: Z80, z80_as: Assemble) -> None:
    """The frame is taken back to when bank 1 showed, whose first byte may be read, and once was."""
    head = "ld a, 1\nld (0x7000), a\n" + LATE + "ld a, (0x8000)\nld (0xc000), a\n"
    insert(cpu, z80_as(head + "ld a, 2\nld (0x7000), a\nld a, (0x8000)\nret\n", ORIGIN))
    result = cpu.call(ORIGIN, **STACK)
    assert (result.reason, result.address) == (StopReason.BAD_READ, 0x8000)
    assert result.pc == ORIGIN + 5 + 8 + 6 + 5
    assert cpu.read(0xC000, 1) == b"\xa1"
    assert cpu.read(0xBFFF, 1) == b"\xa2"


def test_the_bank_stays_until_the_next_load(cpu: Z80, z80_as: Assemble) -> None:
    code = z80_as("ld a, 1\nld (0x7000), a\nret\nld a, (0x8000)\nret\n", ORIGIN)
    insert(cpu, code)
    assert cpu.call(ORIGIN + 6, **STACK).reason is StopReason.BAD_READ
    assert cpu.call(ORIGIN, **STACK).reason is RETURNED
    assert cpu.call(ORIGIN + 6, **STACK).reason is RETURNED
    other_stack = STACK | {"stack_floor": 0xFE80}
    assert cpu.call(ORIGIN + 6, **other_stack).reason is RETURNED
    insert(cpu, code)
    assert cpu.read(0x8000, len(code)) == code
    assert cpu.call(ORIGIN + 6, **STACK).reason is StopReason.BAD_READ


def test_waits_count_with_banks(z80_as: Assemble) -> None:
    cpu = Z80(m1_wait=1, banks=BANKS)
    insert(cpu, z80_as("ld a, 1\nld (0x7000), a\nld a, (0x8000)\nret\n", ORIGIN))
    assert cpu.call(ORIGIN, **STACK).cycles == 7 + 13 + 13 + 10 + 4


@pytest.mark.parametrize(
    ("segment", "memory", "message"),
    [
        ((ORIGIN - 1, b"xx"), MAP, "2 bytes at 0x3fff are outside all banks"),
        ((LAST - 1, b"xx"), MAP, "2 bytes at 0x403fff are outside all banks"),
        ((ORIGIN, b"x"), None, "only known under a memory map"),
        ((ORIGIN, b"x"), MemoryMap((range(0x7FFF, 0x8001),), (), ()), "in more than one bank"),
        ((ORIGIN, b"x"), MemoryMap((), (range(LAST, LAST + 1),), ()), "outside all banks"),
        ((ORIGIN, b"x"), MemoryMap((), (), (range(0xBFFF, 0xC001),)), "0xbfff is declared both"),
        ((ORIGIN, b"x"), MemoryMap((), (), (range(0x3FFF, 0x4001),)), "0x4000 is declared both"),
    ],
)
def test_refused_loads(
    cpu: Z80, segment: tuple[int, bytes], memory: MemoryMap | None, message: str
) -> None:
    with pytest.raises(EmulatorError, match=message):
        cpu.load([segment], memory)


@pytest.mark.parametrize("address", [ORIGIN, 0x7FFF, 0x8000, 0xBFFF])
def test_a_rom_is_not_written_from_outside(cpu: Z80, address: int) -> None:
    with pytest.raises(EmulatorError, match=r"are not all RAM"):
        cpu.write(address, b"x")
    cpu.write(0x3FFF, b"x")
    cpu.write(0xC000, b"x")
    assert cpu.read(0x3FFF, 1) + cpu.read(0xC000, 1) == b"xx"


# Code: of bank 0, of bank 1 at the window's first byte, of bank 2 at its last ones.
CODE_MAP = MemoryMap(
    (range(ORIGIN, 0x4080), range(0x8000, 0x8010), range(0xFFFC, 0x10000)),
    (range(0x8010, 0x8020),),
    (range(0xC000, 0xC100),),
)


def run_banks(
    cpu: Z80, z80_as: Assemble, fixed: str, one: str, two: str = "ret\n", **options: Any
) -> CallResult:
    """Run code of bank 0, which calls that of the others."""
    segments = [
        (ORIGIN, z80_as(fixed, ORIGIN)),
        (0x8000, z80_as(one, 0x8000)),
        (0xFFFC, z80_as(two, 0xBFFC)),
    ]
    cpu.load(segments, CODE_MAP)
    return cpu.call(ORIGIN, **STACK, **options)


BACK = "ld a, 0xfd\nld (0xc000), a\nret\n"  # what a JR at 0xbfff would take for its distance
CALLS = "ld a, 1\nld (0x7000), a\ncall 0x8000\nld a, 2\nld (0x7000), a\ncall 0xbffc\nret\n"


@pytest.mark.parametrize("waits", [0, 1])
@pytest.mark.parametrize("profile", [False, True])
def test_code_runs_in_the_bank_that_shows(z80_as: Assemble, waits: int, profile: bool) -> None:
    cpu = Z80(m1_wait=waits, banks=BANKS)
    one = "ld hl, 0xc000\ninc (hl)\nret\n"
    result = run_banks(cpu, z80_as, LATE + CALLS, one, "inc (hl)\nret\n", profile=profile)
    late = 10 + waits + 9000 * (26 + 4 * waits) - 5
    steps = 2 * (7 + 13 + 17 + 11 + 10) + 10 + 10
    assert (result.reason, result.cycles) == (RETURNED, late + steps + waits * 12)
    assert cpu.read(0xC000, 1) == b"\2"
    if result.profile:
        pcs = result.profile.pcs.tolist()
        cycles = dict(zip(pcs, result.profile.cycles.tolist(), strict=True))
        assert sum(cycles.values()) == result.cycles
        assert [pc for pc in pcs if pc >= 0x8000] == [0x8000, 0x8003, 0x8004, 0xFFFC, 0xFFFD]
        assert cycles[0xFFFC] == cycles[0x8003] == 11 + waits


@pytest.mark.parametrize("profile", [False, True])
def test_code_may_select_another_bank_below_itself(z80_as: Assemble, profile: bool) -> None:
    """The next instruction is the new bank's: decoded as such, though the trace began before."""
    cpu = Z80(banks=BANKS)
    first = "ld a, 1\nld (0x7000), a\njp 0x8000\n"
    one = "ld hl, 0xc000\nld a, 2\njp 0x4010\n"
    switch = ".org 0x10\nld (0x7000), a\njp 0xbffc\n"
    result = run_banks(cpu, z80_as, first + switch, one, "dec (hl)\nret\n", profile=profile)
    assert (result.reason, cpu.read(0xC000, 1)) == (RETURNED, b"\xff")
    assert result.cycles == 7 + 13 + 10 + 10 + 7 + 10 + 13 + 10 + 11 + 10


@pytest.mark.parametrize("profile", [False, True])
@pytest.mark.parametrize(
    ("fixed", "one", "two", "reason", "pc", "address"),
    [
        # Code of bank 1 is none of bank 2's, nor of bank 0's.
        ("ld a, 2\nld (0x7000), a\njp 0x8000\n", "ret\n", "ret\n", "OUTSIDE_CODE", 0x4005, None),
        ("jp 0x8000\n", "ret\n", "ret\n", "OUTSIDE_CODE", 0x4000, None),
        (CALLS, "ret\n", "nop\nnop\nnop\ninc a\n", "OUTSIDE_CODE", 0xFFFF, None),
        # An instruction is cut off where the bank ends.
        (CALLS, "ret\n", "nop\nnop\nnop\n.byte 0x3e\n", "OUTSIDE_CODE", 0xFFFF, None),
        (CALLS, BACK, "jr .+3\nret\n.byte 0x18\n", "OUTSIDE_CODE", 0xFFFF, None),
        (CALLS, "ld (0x8010), a\nret\n", "ret\n", "WRITE_TO_CODE", 0x8000, 0x8010),
        (CALLS, "ld a, (0x8010)\nld a, (0x8020)\nret\n", "ret\n", "BAD_READ", 0x8003, 0x8020),
    ],
)
def test_faults_in_banks(
    cpu: Z80,
    z80_as: Assemble,
    *,
    fixed: str,
    one: str,
    two: str,
    reason: str,
    pc: int,
    address: int | None,
    profile: bool,
) -> None:
    result = run_banks(cpu, z80_as, fixed, one, two, profile=profile)
    assert (result.reason.name, result.pc, result.address) == (reason, pc, address)


def test_code_of_a_bank_is_no_data_of_it(cpu: Z80, z80_as: Assemble) -> None:
    result = run_banks(cpu, z80_as, CALLS, "ld a, (0x8001)\nret\n", "ret\n", profile=True)
    assert (result.reason, result.pc, result.address) == (StopReason.BAD_READ, 0x8000, 0x8001)


def test_ld_r_is_found_in_banks(z80_as: Assemble) -> None:
    """It disturbs the count of M1 cycles, so such a program is traced."""
    cpu = Z80(m1_wait=1, banks=BANKS)
    result = run_banks(cpu, z80_as, CALLS, "ld a, 99\nld r, a\nret\n", "ret\n")
    assert (result.reason, result.cycles) == (RETURNED, 2 * (7 + 13 + 17 + 10) + 10 + 16 + 12)
