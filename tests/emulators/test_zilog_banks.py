"""A ROM in banks: what a write of the register shows, and every guard of it from both sides."""

from itertools import product
from typing import Any

import pytest
from gnu_as import Assemble

from emulators.base import EmulatorError, MemoryMap, StopReason
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
        ((ORIGIN, b"x"), MemoryMap((range(0x7FFF, 0x8001),), (), ()), "outside bank 0"),
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
