"""Z80: T-states, marks, profiles, stack peaks and stops against numbers counted by hand."""

import gc
import random
import weakref
from typing import Any

import numpy as np
import pytest
from gnu_as import Assemble

from emulators.base import CallResult, EmulatorError, Mark, StopReason
from emulators.zilog import Z80

ORIGIN = 0x8000
RET = b"\xc9"


@pytest.fixture
def cpu() -> Z80:
    return Z80()


def call(cpu: Z80, code: bytes, **options: Any) -> CallResult:
    settings = {"limit": 10_000_000, "stack": 0xFEFF, "stack_floor": 0xFE00} | options
    cpu.load([(ORIGIN, code)])
    return cpu.call(ORIGIN, **settings)


def countdown(loops: int) -> str:
    """Give a loop of 10 + 26 * loops - 5 T-states, 1 to 65,536 loops."""
    return f"ld bc, {loops % 0x10000}\n1: dec bc\nld a, b\nor c\njr nz, 1b\n"


def test_a_return_alone(cpu: Z80) -> None:
    result = call(cpu, RET)
    assert (result.cycles, result.reason, result.stack_peak) == (10, StopReason.RETURNED, 2)


@pytest.mark.parametrize(
    ("source", "cycles"),
    [
        ("ld b, 10\n1: djnz 1b\nret\n", 7 + 9 * 13 + 8 + 10),
        ("call 1f\nret\n1: push ix\npop ix\nret\n", 17 + 15 + 14 + 10 + 10),
        ("ld hl, 0x9000\nld de, 0xa000\nld bc, 500\nldir\nret\n", 30 + 499 * 21 + 16 + 10),
        ("ld ix, 0x9000\nld a, (ix+3)\nset 7, (ix-1)\nret\n", 14 + 19 + 23 + 10),
        ("or a\nret z\n", 4 + 11),
        (countdown(65536) + "ret\n", 10 + 65536 * 26 - 5 + 10),
    ],
)
@pytest.mark.parametrize("profile", [False, True])
def test_cycles_are_those_of_the_manual(
    cpu: Z80, z80_as: Assemble, source: str, cycles: int, profile: bool
) -> None:
    assert call(cpu, z80_as(source), profile=profile).cycles == cycles


def test_count_is_exact_wherever_a_frame_ends(cpu: Z80, z80_as: Assemble) -> None:
    """Each NOP shifts the ends of frames by 4 T over a loop of prefixed instructions."""
    loop = (
        "ld iy, 0x9000\nld bc, 0x0b00\n1: inc ix\nset 0, (iy+1)\ndjnz 1b\ndec c\njr nz, 1b\nret\n"
    )
    # 256 times through the outer loop; the first time through the inner one, B is 11.
    inner = 11 + 255 * 256
    cycles = 14 + 10 + inner * (10 + 23 + 13) - 256 * 5 + 256 * (4 + 12) - 5 + 10
    assert cycles > 30 * 100_000
    for shift in range(20):
        assert call(cpu, z80_as("nop\n" * shift + loop)).cycles == cycles + 4 * shift


@pytest.mark.parametrize(
    ("limit", "reason", "cycles"),
    [
        (99_990, StopReason.CYCLE_LIMIT, 99_990),
        (99_991, StopReason.RETURNED, 100_000),
        (100_000, StopReason.RETURNED, 100_000),
        (100_001, StopReason.RETURNED, 100_000),
    ],
)
def test_return_at_the_very_end_of_a_frame(
    cpu: Z80, z80_as: Assemble, limit: int, reason: StopReason, cycles: int
) -> None:
    code = z80_as(countdown(3845) + "nop\nnop\nld a, 0\nret\n")
    result = call(cpu, code, limit=limit)
    assert (result.reason, result.cycles) == (reason, cycles)


@pytest.mark.parametrize("limit", [1, 12, 13, 99_999, 100_000, 100_001, 200_004, 250_000])
@pytest.mark.parametrize("profile", [False, True])
def test_limit_is_exact_and_nothing_runs_past_it(
    cpu: Z80, z80_as: Assemble, limit: int, profile: bool
) -> None:
    code = z80_as("1: inc (ix+0)\njr nc, 1b\n")
    result = call(cpu, code, limit=limit, profile=profile, marks=[ORIGIN])
    rounds, rest = divmod(limit, 23 + 12)
    increments = rounds + (rest > 0)
    assert result.reason is StopReason.CYCLE_LIMIT
    assert result.cycles == rounds * 35 + (0 if rest == 0 else 23 if rest <= 23 else 35)
    assert len(result.marks) == increments
    assert cpu.read(0, 1) == bytes([increments % 256])


STOPS = {
    "halt": ("nop\nhalt\n", StopReason.HALT, 8, ORIGIN + 1),
    "late halt": (countdown(9000) + "halt\n", StopReason.HALT, 234_009, ORIGIN + 8),
    "jump outside": ("nop\njp 0x9000\n", StopReason.OUTSIDE_CODE, 14, ORIGIN + 1),
    "late exit": (countdown(9000), StopReason.OUTSIDE_CODE, 234_005, ORIGIN + 6),
    "prefixed exit": ("ld ix, 0x9000\njp (ix)\n", StopReason.OUTSIDE_CODE, 22, ORIGIN + 4),
    "overflow": ("1: push bc\njr 1b\n", StopReason.STACK_OVERFLOW, 128 * 11 + 127 * 12, ORIGIN),
    "call overflow": ("call 0x8000\n", StopReason.STACK_OVERFLOW, 128 * 17, ORIGIN),
    "unbalanced": (
        "pop hl\npush hl\npush hl\nret\n",
        StopReason.STACK_UNBALANCED,
        10 + 11 + 11 + 10,
        ORIGIN + 3,
    ),
    "limit": ("1: jr 1b\n", StopReason.CYCLE_LIMIT, 10_000_008, ORIGIN),
}


@pytest.mark.parametrize("name", STOPS)
def test_stop(cpu: Z80, z80_as: Assemble, name: str) -> None:
    source, reason, cycles, pc = STOPS[name]
    code = z80_as(source)
    result = call(cpu, code)
    assert (result.reason, result.cycles, result.pc) == (reason, cycles, pc)
    stepped = call(cpu, code, profile=True)
    assert (stepped.reason, stepped.cycles, stepped.pc) == (reason, cycles, pc)
    assert stepped.stack_peak == result.stack_peak
    assert call(cpu, RET) == CallResult(10, StopReason.RETURNED, 0xFFFF, 2)


def test_fault_at_an_instruction_that_a_frame_cuts_in_two(cpu: Z80, z80_as: Assemble) -> None:
    """The prefix of JP (IX) ends at 100,000 T."""
    result = call(cpu, z80_as(countdown(3845) + "ld ix, 0x9000\nld a, 0\njp (ix)\n"))
    assert (result.reason, result.cycles) == (StopReason.OUTSIDE_CODE, 100_004)
    assert result.pc == ORIGIN + 14


def test_restart_instructions_can_overflow_too(cpu: Z80) -> None:
    cpu.load([(0x38, b"\xff")])
    result = cpu.call(0x38, limit=10_000, stack=0xFEFF, stack_floor=0xFE00)
    assert (result.reason, result.cycles) == (StopReason.STACK_OVERFLOW, 128 * 11)
    assert result.pc == 0x38


def test_call_outside_code(cpu: Z80) -> None:
    cpu.load([(ORIGIN, RET)])
    result = cpu.call(0x9000, limit=100, stack=0xFEFF, stack_floor=0xFE00)
    assert (result.reason, result.cycles, result.pc) == (StopReason.OUTSIDE_CODE, 0, 0x9000)


@pytest.mark.parametrize(
    ("source", "peak"),
    [
        ("push bc\npop bc\nret\n", 4),
        ("push bc\npush bc\npop bc\npop bc\npush bc\npop bc\nret\n", 6),
        ("call 1f\nret\n1: push bc\npush de\npop de\npop bc\nret\n", 8),
        ("ld hl, -20\nadd hl, sp\nld sp, hl\npush bc\nld hl, 22\nadd hl, sp\nld sp, hl\nret\n", 24),
        # SP as a data pointer, reading and writing outside the stack
        ("ld (0x9000), sp\nld sp, 0x9100\npop hl\npush hl\npush hl\nld sp, (0x9000)\nret\n", 2),
    ],
)
@pytest.mark.parametrize("profile", [False, True])
def test_stack_peak_is_the_lowest_byte_written(
    cpu: Z80, z80_as: Assemble, source: str, peak: int, profile: bool
) -> None:
    result = call(cpu, z80_as(source), profile=profile)
    assert result.reason is StopReason.RETURNED
    assert result.stack_peak == peak


def test_stack_peak_equals_what_painting_finds(cpu: Z80, z80_as: Assemble) -> None:
    source = "ld b, 5\n1: call 2f\ndjnz 1b\nret\n2: " + "push bc\n" * 9 + "pop hl\n" * 9 + "ret\n"
    cpu.load([(ORIGIN, z80_as(source))])
    cpu.write(0xFE00, b"\xc5" * 0x100)
    result = cpu.call(ORIGIN, limit=100_000, stack=0xFEFF, stack_floor=0xFE00)
    assert result.stack_peak == len(cpu.read(0xFE00, 0x100).lstrip(b"\xc5")) == 22


def test_peak_does_not_see_past_the_limit(cpu: Z80, z80_as: Assemble) -> None:
    """The frame goes on to push deeper, but the call was over."""
    code = z80_as("nop\n" * 100 + "push bc\npush bc\npush bc\n1: jr 1b\n")
    assert call(cpu, code, limit=300).stack_peak == 2
    assert call(cpu, code, limit=401).stack_peak == 4


def test_stack_floor_is_the_last_byte_allowed(cpu: Z80, z80_as: Assemble) -> None:
    code = z80_as("push bc\npop bc\nret\n")
    assert call(cpu, code, stack_floor=0xFEFF - 3).reason is StopReason.RETURNED
    assert call(cpu, code, stack_floor=0xFEFF - 2).reason is StopReason.STACK_OVERFLOW


@pytest.mark.parametrize("profile", [False, True])
def test_data_right_below_a_full_stack_is_no_overflow(
    cpu: Z80, z80_as: Assemble, profile: bool
) -> None:
    code = z80_as("push bc\nld a, 9\nld (0xfefb), a\nld (0xfefa), a\npop bc\nret\n")
    result = call(cpu, code, stack_floor=0xFEFC, profile=profile)
    assert result.reason is StopReason.RETURNED
    assert result.cycles == 11 + 7 + 13 + 13 + 10 + 10
    assert result.stack_peak == 4
    assert cpu.read(0xFEFA, 2) == b"\x09\x09"


def test_stack_at_both_ends_of_memory(cpu: Z80, z80_as: Assemble) -> None:
    code = z80_as("push bc\npop bc\nret\n")
    top = call(cpu, code, stack=0xFFFF, stack_floor=0xFF00)
    bottom = call(cpu, code, stack=0x00FF, stack_floor=0)
    assert top.reason is bottom.reason is StopReason.RETURNED
    assert top.stack_peak == bottom.stack_peak == 4


def test_marks_log_every_arrival(cpu: Z80, z80_as: Assemble) -> None:
    code = z80_as("ld b, 3\n1: inc ix\ndjnz 1b\nret\n")
    for profile in (False, True):
        result = call(cpu, code, marks=[ORIGIN, ORIGIN + 2, ORIGIN + 6], profile=profile)
        assert result.marks == (
            Mark(ORIGIN, 0),
            Mark(ORIGIN + 2, 7),
            Mark(ORIGIN + 2, 30),
            Mark(ORIGIN + 2, 53),
            Mark(ORIGIN + 6, 71),
        )
        assert result.cycles == 81
    assert call(cpu, code).marks == ()


def test_marks_over_many_frames_are_exact_even_before_a_fault(cpu: Z80, z80_as: Assemble) -> None:
    result = call(cpu, z80_as(countdown(9000) + "halt\n"), marks=[ORIGIN + 3])
    assert [mark.cycle for mark in result.marks] == [10 + 26 * i for i in range(9000)]
    assert (result.reason, result.cycles) == (StopReason.HALT, 234_009)


def test_marks_do_not_outlive_their_call(cpu: Z80, z80_as: Assemble) -> None:
    cpu.load([(ORIGIN, z80_as("ld b, 3\n1: djnz 1b\nret\n"))])
    settings: dict[str, Any] = {"limit": 1000, "stack": 0xFEFF, "stack_floor": 0xFE00}
    assert len(cpu.call(ORIGIN, marks=[ORIGIN + 2], **settings).marks) == 3
    again = cpu.call(ORIGIN, **settings)
    assert (again.reason, again.marks) == (StopReason.RETURNED, ())


def test_profile_attributes_every_cycle(cpu: Z80, z80_as: Assemble) -> None:
    code = z80_as("ld b, 3\n1: inc ix\ndjnz 1b\nld c, 2\nldir\nret\n")
    result = call(cpu, code, profile=True)
    profile = result.profile
    assert profile is not None
    assert (profile.pcs - ORIGIN).tolist() == [0, 2, 4, 6, 8, 10]
    assert profile.counts.tolist() == [1, 3, 3, 1, 2, 1]
    assert profile.cycles.tolist() == [7, 30, 34, 7, 37, 10]
    assert profile.pcs.dtype == np.uint32
    assert int(profile.cycles.sum()) == result.cycles


def test_profile_sums_to_the_cycles_over_many_frames(cpu: Z80, z80_as: Assemble) -> None:
    code = z80_as(countdown(12_000) + "ret\n")
    result = call(cpu, code, profile=True)
    assert result.profile is not None
    assert int(result.profile.cycles.sum()) == result.cycles == 10 + 12_000 * 26 - 5 + 10


@pytest.mark.parametrize("seed", range(30))
def test_full_speed_and_stepping_agree_on_random_images(cpu: Z80, seed: int) -> None:
    """Whatever goes wrong, and wherever: same reason, place, cycles, peak and memory."""
    image = random.Random(seed).randbytes(0x10000 - ORIGIN - 0x400)
    outcomes = []
    for profile in (False, True):
        result = call(cpu, image, limit=300_000, profile=profile, marks=[ORIGIN])
        memory = cpu.read(0, 0x10000)
        outcomes.append((result.reason, result.pc, result.cycles, result.stack_peak, memory))
        assert result.marks[0] == Mark(ORIGIN, 0)
    assert outcomes[0] == outcomes[1]


def test_call_starts_clean_but_keeps_memory(cpu: Z80, z80_as: Assemble) -> None:
    cpu.load([(ORIGIN, z80_as("ld (0x9000), hl\nld hl, 1\nexx\nld hl, 2\nscf\nei\nret\n"))])
    cpu.write(0x9002, b"kept")
    settings: dict[str, Any] = {"limit": 1000, "stack": 0xFEFF, "stack_floor": 0xFE00}
    assert cpu.call(ORIGIN, **settings) == cpu.call(ORIGIN, **settings)
    assert cpu.read(0x9000, 6) == b"\0\0kept"


def test_load_forgets_everything(cpu: Z80, z80_as: Assemble) -> None:
    cpu.load([(ORIGIN, RET), (0x9000, RET)])
    cpu.write(0xA000, b"gone")
    result = call(cpu, z80_as("jp 0x9000\n"))
    assert result.reason is StopReason.OUTSIDE_CODE
    assert cpu.read(0xA000, 4) == bytes(4)


def test_machines_do_not_disturb_each_other(z80_as: Assemble) -> None:
    first, second = Z80(), Z80()
    increment = "ld hl, 0x9000\ninc (hl)\nret\n"
    first.load([(ORIGIN, z80_as(increment))])
    second.load([(ORIGIN, z80_as("nop\n" + increment))])
    settings: dict[str, Any] = {"limit": 1000, "stack": 0xFEFF, "stack_floor": 0xFE00}
    for count in range(1, 4):
        assert first.call(ORIGIN, **settings).cycles == 31
        assert second.call(ORIGIN, **settings).cycles == 35
        assert first.read(0x9000, 1) == second.read(0x9000, 1) == bytes([count])


def test_dead_machines_are_freed() -> None:
    cpu = Z80()
    watch, core = weakref.ref(cpu._core.guard), weakref.ref(cpu._core)
    del cpu
    gc.collect()
    assert watch() is None
    assert core() is None


@pytest.mark.parametrize("segment", [(0xFFFF, b"ab"), (-1, b"a"), (0, bytes(0x10001))])
def test_image_outside_memory(cpu: Z80, segment: tuple[int, bytes]) -> None:
    cpu.load([(ORIGIN, RET)])
    with pytest.raises(EmulatorError, match="64 KiB"):
        cpu.load([segment])
    assert cpu.read(ORIGIN, 1) == RET


def test_image_that_leaves_no_room_to_return(cpu: Z80) -> None:
    with pytest.raises(EmulatorError, match="free"):
        cpu.load([(0, bytes(0x10000))])


@pytest.mark.parametrize(("address", "size"), [(0xFFFF, 2), (0x10000, 1), (-1, 1)])
def test_access_outside_memory(cpu: Z80, address: int, size: int) -> None:
    with pytest.raises(EmulatorError, match="64 KiB"):
        cpu.write(address, bytes(size))
    with pytest.raises(EmulatorError, match="64 KiB"):
        cpu.read(address, size)


@pytest.mark.parametrize(
    "options",
    [
        {"stack": 0x10000},
        {"stack_floor": -1},
        {"stack_floor": 0xFEFF},
        {"limit": 0},
        {"marks": [ORIGIN + 1]},
        {"marks": [-1]},
    ],
)
def test_impossible_calls(cpu: Z80, options: dict[str, Any]) -> None:
    with pytest.raises(EmulatorError):
        call(cpu, RET, **options)
    assert call(cpu, RET).reason is StopReason.RETURNED


def test_name(cpu: Z80) -> None:
    assert cpu.name.startswith("z80 (z80 1.")
