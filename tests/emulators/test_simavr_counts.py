"""simavr: cycles, marks, profiles and stack peaks against numbers counted by hand."""

from typing import Any

import numpy as np
import pytest
from gnu_as import Assemble

from emulators.base import CallResult, Mark, StopReason
from emulators.simavr import MCUS, SimAvr

# (topmost byte, floor)
STACKS = {
    "atmega328p": (0x8FF, 0x800),
    "atmega2560": (0x21FF, 0x2000),
    "atmega1284p": (0x40FF, 0x4000),
    "attiny85": (0x25F, 0x200),
}
RESULT = 0x210  # below the stack of the 328P


def call(emulator: SimAvr, code: bytes, mcu: str = "atmega328p", **options: Any) -> CallResult:
    stack, floor = STACKS[mcu]
    settings = {"limit": 1_000_000, "stack": stack, "stack_floor": floor} | options
    emulator.load([(0, code)])
    return emulator.call(0, **settings)


@pytest.fixture
def avr() -> SimAvr:
    return SimAvr("atmega328p")


@pytest.mark.parametrize(("mcu", "ret"), [("atmega328p", 4), ("atmega2560", 5), ("attiny85", 4)])
def test_loop_takes_the_cycles_of_the_manual(avr_as: Assemble, mcu: str, ret: int) -> None:
    code = avr_as("ldi r16, 10\n1: dec r16\nbrne 1b\nret\n", mcu)
    result = call(SimAvr(mcu), code, mcu)
    assert result.reason is StopReason.RETURNED
    assert result.cycles == 1 + 10 * 1 + 9 * 2 + 1 + ret


@pytest.mark.parametrize(
    ("mcu", "source", "cycles"),
    [
        ("atmega328p", "rcall 1f\nret\n1: ret\n", 3 + 4 + 4),
        ("atmega328p", "call 1f\nret\n1: ret\n", 4 + 4 + 4),
        ("atmega2560", "rcall 1f\nret\n1: ret\n", 4 + 5 + 5),
        ("atmega2560", "call 1f\nret\n1: ret\n", 5 + 5 + 5),
        ("atmega328p", "mul r0, r1\nlds r2, 0x200\nlpm r3, Z+\npush r2\npop r3\nret\n", 13 + 2),
    ],
)
def test_instructions_take_the_cycles_of_the_manual(
    avr_as: Assemble, mcu: str, source: str, cycles: int
) -> None:
    assert call(SimAvr(mcu), avr_as(source, mcu), mcu).cycles == cycles


SKIPS = {  # each skips; the cycles are those of what comes before it
    "cpse r24, r24": ("", 0),
    "sbrs r24, 0": ("", 0),
    "sbrc r24, 1": ("", 0),
    "sbic 0x1e, 0": ("", 0),
    "sbis 0x1e, 0": ("sbi 0x1e, 0\n", 2),
}


@pytest.mark.parametrize("operation", ["adiw", "sbiw"])
@pytest.mark.parametrize("skip", SKIPS)
def test_skip_over_word_arithmetic_is_two_cycles_for_every_constant(
    avr: SimAvr, avr_as: Assemble, skip: str, operation: str
) -> None:
    before, cycles_before = SKIPS[skip]
    for constant in range(64):
        code = avr_as(
            f"ldi r24, 1\nldi r25, 0\n{before}{skip}\n{operation} r24, {constant}\n"
            f"inc r24\nsts {RESULT}, r24\nret\n"
        )
        result = call(avr, code)
        assert result.cycles == 2 + cycles_before + 2 + 1 + 2 + 4
        assert avr.read(RESULT, 1) == b"\x02"  # INC was executed, ADIW was not


def test_word_arithmetic_after_a_skip_not_taken_is_executed(avr: SimAvr, avr_as: Assemble) -> None:
    code = avr_as(f"ldi r24, 1\nsbrc r24, 0\nadiw r24, 12\nsts {RESULT}, r24\nret\n")
    assert call(avr, code).cycles == 1 + 1 + 2 + 2 + 4
    assert avr.read(RESULT, 1) == b"\x0d"


def test_skip_over_a_long_instruction_takes_three_cycles(avr: SimAvr, avr_as: Assemble) -> None:
    code = avr_as("sbrs r24, 0\nsbrc r24, 0\nlds r16, 0x200\nret\n")
    assert call(avr, code).cycles == 1 + 3 + 4


def test_firmware_that_times_itself_agrees(avr: SimAvr, avr_as: Assemble) -> None:
    code = avr_as(
        f"""
        ldi r16, 1
        sts 0x81, r16            ; TCCR1B: Timer1 counts every cycle
        lds r20, 0x84
        lds r21, 0x85
mark:   ldi r17, 40
1:      dec r17
        brne 1b
        lds r22, 0x84
        lds r23, 0x85
        sub r22, r20
        sbc r23, r21
        sts {RESULT}, r22
        sts {RESULT + 1}, r23
        ret
        """
    )
    call(avr, code)
    # From one reading of TCNT1L to the next: the second LDS too, once.
    expected = 2 + 1 + 40 + 39 * 2 + 1 + 2
    assert int.from_bytes(avr.read(RESULT, 2), "little") == expected


def test_interrupt_entry_takes_four_cycles(avr: SimAvr, avr_as: Assemble) -> None:
    """Timer 0 overflows once among the NOPs; its vector holds RETI."""
    code = avr_as(
        """
        rjmp main
        .org 0x40
        reti
main:   ldi r16, 1
        sts 0x6e, r16            ; TIMSK0: interrupt on overflow
        out 0x25, r16            ; TCCR0B: no prescaler
        ldi r16, 200
        out 0x26, r16            ; TCNT0
        sei
        .rept 100
        nop
        .endr
        ret
        """
    )
    result = call(avr, code, profile=True, touched=True)
    assert result.cycles == 2 + 7 + 100 + 4 + (4 + 4)
    assert result.stack_peak == 4
    assert result.profile is not None
    assert result.profile.counts.tolist() == [1] * 109  # not one instruction ran unseen
    assert result.touched is not None
    assert result.touched[0x8FC:0x900].tolist() == [3, 3, 1, 1]


def test_sleep_with_interrupts_lasts_until_one_comes(avr: SimAvr, avr_as: Assemble) -> None:
    source = """
        rjmp main
        .org 0x40
        inc r20
        reti
main:   ldi r16, 1
        sts 0x6e, r16
        out 0x33, r16
        out 0x25, r16
        ldi r16, {start}
        out 0x26, r16
        sei
        sleep
        cli
        sts {result}, r20
        ret
        """
    cycles = []
    for start in (100, 150):
        result = call(avr, avr_as(source.format(start=start, result=RESULT)))
        assert result.reason is StopReason.RETURNED
        assert avr.read(RESULT, 1) == b"\x01"
        cycles.append(result.cycles)
    assert cycles[0] - cycles[1] == 50


def test_marks_log_every_arrival(avr: SimAvr, avr_as: Assemble) -> None:
    code = avr_as("ldi r16, 3\n1: dec r16\nbrne 1b\nret\n")
    result = call(avr, code, marks=[0, 2, 6])
    arrivals = [Mark(0, 0), Mark(2, 1), Mark(2, 4), Mark(2, 7), Mark(6, 9)]
    assert list(result.marks) == arrivals
    assert result.cycles == 13
    again = avr.call(0, limit=100, stack=0x8FF, stack_floor=0x800)
    assert (again.marks, again.cycles) == ((), 13)


def test_thousands_of_marks_are_kept(avr: SimAvr, avr_as: Assemble) -> None:
    code = avr_as("ldi r16, 10\n2: ldi r17, 0\n1: dec r17\nbrne 1b\ndec r16\nbrne 2b\nret\n")
    marks = call(avr, code, marks=[4]).marks
    assert len(marks) == 2560
    assert [mark.cycle for mark in marks[:3]] == [2, 5, 8]


def test_profile_attributes_every_cycle(avr: SimAvr, avr_as: Assemble) -> None:
    code = avr_as("ldi r16, 5\n1: dec r16\nbrne 1b\nrcall 2f\nret\n2: ret\n")
    result = call(avr, code, profile=True)
    profile = result.profile
    assert profile is not None
    assert profile.pcs.tolist() == [0, 2, 4, 6, 8, 10]
    assert profile.counts.tolist() == [1, 5, 5, 1, 1, 1]
    assert profile.cycles.tolist() == [1, 5, 9, 3, 4, 4]
    assert profile.pcs.dtype == np.uint32
    assert int(profile.cycles.sum()) == result.cycles == call(avr, code).cycles


@pytest.mark.parametrize("constant", [1, 12, 15, 28])
def test_profile_sums_to_the_cycles_where_a_skip_was_mended(
    avr: SimAvr, avr_as: Assemble, constant: int
) -> None:
    code = avr_as(f"sbrs r0, 0\nsbrc r0, 0\nadiw r24, {constant}\nret\n")
    result = call(avr, code, profile=True)
    assert result.profile is not None
    assert result.profile.cycles.tolist() == [1, 2, 4]
    assert result.cycles == 7


@pytest.mark.parametrize(
    ("mcu", "source", "peak"),
    [
        ("atmega328p", "ret\n", 2),
        ("atmega2560", "ret\n", 3),
        ("attiny85", "push r0\npop r0\nret\n", 3),
        ("atmega328p", "rcall 1f\nret\n1: push r0\npush r1\npop r1\npop r0\nret\n", 6),
        ("atmega2560", "rcall 1f\nret\n1: push r0\npop r0\nret\n", 7),
    ],
)
def test_stack_peak_counts_return_addresses_and_pushes(
    avr_as: Assemble, mcu: str, source: str, peak: int
) -> None:
    assert call(SimAvr(mcu), avr_as(source, mcu), mcu).stack_peak == peak


SPL, SPH, SREG = "out 0x3d, r28\n", "out 0x3e, r29\n", "out 0x3f, r0\n"


@pytest.mark.parametrize("mcu", STACKS)
@pytest.mark.parametrize(
    "write_sp", [SPH + SREG + SPL, SPH + SPL, SPL + SPH, SPL + SREG + "nop\n" + SPH]
)
def test_stack_peak_of_a_frame_across_a_page(avr_as: Assemble, mcu: str, write_sp: str) -> None:
    """While only one half of SP is written, it points up to 256 bytes too low."""
    source = f"""
        in r28, 0x3d
        in r29, 0x3e
        in r0, 0x3f
        sbiw r28, 32
        {write_sp}
        adiw r28, 32
        {write_sp}
        ret
        """
    emulator = SimAvr(mcu)
    return_address = 3 if mcu == "atmega2560" else 2
    top = STACKS[mcu][1] + 0x10
    floor = top - return_address - 32 + 1
    result = call(emulator, avr_as(source, mcu), mcu, stack=top, stack_floor=floor)
    assert result.reason is StopReason.RETURNED
    assert result.stack_peak == return_address + 32


def test_stack_peak_of_a_frame_that_fits_one_half(avr: SimAvr, avr_as: Assemble) -> None:
    code = avr_as("in r28, 0x3d\nsubi r28, 16\nout 0x3d, r28\nsubi r28, -16\nout 0x3d, r28\nret\n")
    assert call(avr, code).stack_peak == 2 + 16


def test_stack_peak_equals_what_painting_finds(avr: SimAvr, avr_as: Assemble) -> None:
    source = "ldi r16, 20\n1: rcall 2f\ndec r16\nbrne 1b\nret\n2: " + "push r16\n" * 9
    code = avr_as(source + "pop r0\n" * 9 + "ret\n")
    avr.load([(0, code)])
    avr.write(0x800, b"\xc5" * 0x100)
    result = avr.call(0, limit=10_000, stack=0x8FF, stack_floor=0x800)
    painted = avr.read(0x800, 0x100)
    assert result.stack_peak == len(painted.lstrip(b"\xc5"))


@pytest.mark.parametrize(
    ("mcu", "ram", "flash_size"),
    [
        ("atmega328p", range(0x100, 0x900), 32 << 10),
        ("atmega1284p", range(0x100, 0x4100), 128 << 10),
        ("atmega2560", range(0x200, 0x2200), 256 << 10),
        ("attiny85", range(0x60, 0x260), 8 << 10),
        ("attiny13", range(0x60, 0xA0), 1 << 10),
    ],
)
def test_memory_is_that_of_the_data_sheet(mcu: str, ram: range, flash_size: int) -> None:
    emulator = SimAvr(mcu)
    assert (emulator.ram, emulator.flash_size) == (ram, flash_size)


@pytest.mark.parametrize("mcu", MCUS)
def test_every_listed_mcu_runs(mcu: str) -> None:
    emulator = SimAvr(mcu)
    emulator.load([(0, b"\x08\x95")])
    ram = emulator.ram
    result = emulator.call(0, limit=100, stack=ram[-1], stack_floor=ram[0])
    assert result.cycles == (5 if mcu == "atmega2560" else 4)
    assert emulator.name.startswith(f"{mcu} (simavr 1.")


def touched_by(avr_as: Assemble, source: str, mcu: str = "atmega328p") -> dict[int, int]:
    """Data addresses that the source touches, above the registers: 1 read, 2 written, 3 both."""
    touched = call(SimAvr(mcu), avr_as(source, mcu), mcu, touched=True).touched
    assert touched is not None
    return {int(at): int(touched[at]) for at in np.flatnonzero(touched)}


@pytest.mark.parametrize(
    ("source", "touched"),
    [
        ("ld r0, X\n", {0x210: 1}),
        ("ld r0, X+\nst X, r0\n", {0x210: 1, 0x211: 2}),
        ("st -X, r0\nld r0, X+\n", {0x20F: 3}),
        ("adiw r26, 1\nmovw r28, r26\nstd Y+5, r0\n", {0x216: 2}),
        ("lds r0, 0x300\nsts 0x301, r0\n", {0x300: 1, 0x301: 2}),
        ("in r0, 0x05\nout 0x3f, r0\nsbi 0x05, 1\n", {0x25: 3, 0x5F: 2}),
        ("push r0\npop r0\n", {0x8FD: 3}),
        ("rcall .+0\npop r0\npop r0\n", {0x8FC: 3, 0x8FD: 3}),
        ("rjmp .+2\nld r0, X\n", {}),
    ],
)
def test_profile_tells_what_was_touched(
    avr_as: Assemble, source: str, touched: dict[int, int]
) -> None:
    start = "ldi r26, 0x10\nldi r27, 2\n"
    returned = {0x8FE: 1, 0x8FF: 1}
    assert touched_by(avr_as, start + source + "ret\n") == touched | returned


def test_touched_return_addresses_of_three_bytes(avr_as: Assemble) -> None:
    touched = touched_by(avr_as, "rcall 1f\nret\n1: ret\n", "atmega2560")
    assert touched == dict.fromkeys(range(0x21FA, 0x21FD), 3) | dict.fromkeys(
        range(0x21FD, 0x2200), 1
    )
