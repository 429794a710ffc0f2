"""simavr: every reason to stop, errors, and machines that do not disturb each other."""

import gc
import random
import threading
from typing import Any

import pytest
from gnu_as import Assemble

from emulators.base import CallResult, EmulatorError, Mark, StopReason
from emulators.simavr import SimAvr

RET = b"\x08\x95"


@pytest.fixture
def avr() -> SimAvr:
    return SimAvr("atmega328p")


def call(emulator: SimAvr, **options: Any) -> CallResult:
    settings = {"limit": 1_000_000, "stack": 0x8FF, "stack_floor": 0x800} | options
    return emulator.call(0, **settings)


STOPS = {
    "return": ("nop\nret\n", StopReason.RETURNED, 5, 0x1FFFE),
    "invalid": ("nop\n.word 0x9404\nret\n", StopReason.INVALID_OPCODE, 1, 2),
    "elpm without RAMPZ": ("ldi r31, 255\n.word 0x95d8\nret\n", StopReason.INVALID_OPCODE, 1, 2),
    "jump outside": ("nop\nrjmp .+100\nret\n", StopReason.OUTSIDE_CODE, 3, 2),
    "falls out": ("nop\nnop\n", StopReason.OUTSIDE_CODE, 2, 2),
    "break": ("nop\nbreak\nret\n", StopReason.BREAK, 1, 2),
    "sleep": ("ldi r16, 1\nout 0x33, r16\nsleep\nret\n", StopReason.SLEEP, 3, 4),
    "overflow": ("1: push r0\nrjmp 1b\n", StopReason.STACK_OVERFLOW, 254 * 4 + 2, 0),
    "unbalanced": (
        "pop r1\npop r0\npush r0\npush r1\npush r0\npush r1\nret\n",
        StopReason.STACK_UNBALANCED,
        16,
        12,
    ),
    "store past RAM": (
        "ldi r27, 9\nst X, r0\nret\n",
        StopReason.BAD_ACCESS,
        3,
        2,
    ),
    "load past RAM": ("ldi r27, 255\nld r0, X\nret\n", StopReason.BAD_ACCESS, 3, 2),
    "watchdog": (
        "ldi r16, 0x18\nsts 0x60, r16\nldi r16, 8\nsts 0x60, r16\n1: rjmp 1b\n",
        StopReason.WATCHDOG,
        256_004,  # 16 ms of 16 MHz, to the end of the instruction
        12,
    ),
    "sleep with interrupts": (
        "ldi r16, 1\nout 0x33, r16\nsei\nsleep\nret\n",
        StopReason.CYCLE_LIMIT,
        1_000_000,
        8,
    ),
}


@pytest.mark.parametrize("name", STOPS)
@pytest.mark.parametrize("profile", [False, True])
def test_stop(avr: SimAvr, avr_as: Assemble, name: str, profile: bool) -> None:
    source, reason, cycles, pc = STOPS[name]
    avr.load([(0, avr_as(source))])
    result = call(avr, profile=profile)
    assert (result.reason, result.cycles, result.pc) == (reason, cycles, pc)
    if result.profile is not None:
        assert int(result.profile.cycles.sum()) == cycles


@pytest.mark.parametrize("name", STOPS)
def test_a_stop_leaves_nothing_behind(avr: SimAvr, avr_as: Assemble, name: str) -> None:
    """Neither for the next call, which repeats it exactly, nor for the next image."""
    avr.load([(0, avr_as(STOPS[name][0]))])
    assert call(avr) == call(avr)
    avr.load([(0, avr_as("1: dec r16\nbrne 1b\nret\n"))])
    assert call(avr).cycles == 256 + 255 * 2 + 1 + 4


@pytest.mark.parametrize(
    ("limit", "reason", "cycles"),
    [
        (1, StopReason.CYCLE_LIMIT, 1),
        (999, StopReason.CYCLE_LIMIT, 1000),
        (1000, StopReason.CYCLE_LIMIT, 1000),
        (1001, StopReason.CYCLE_LIMIT, 1002),
    ],
)
def test_limit_is_exact(
    avr: SimAvr, avr_as: Assemble, limit: int, reason: StopReason, cycles: int
) -> None:
    avr.load([(0, avr_as("nop\nnop\n1: rjmp 1b\n"))])
    result = call(avr, limit=limit, marks=[4])
    assert (result.reason, result.cycles) == (reason, cycles)
    assert all(mark.cycle < limit for mark in result.marks)


def test_call_that_takes_the_limit_returns(avr: SimAvr) -> None:
    avr.load([(0, RET)])
    assert call(avr, limit=4).reason is StopReason.RETURNED


def test_stack_floor_is_the_last_byte_allowed(avr: SimAvr, avr_as: Assemble) -> None:
    avr.load([(0, avr_as("push r0\npop r0\nret\n"))])
    assert call(avr, stack_floor=0x8FF - 2).reason is StopReason.RETURNED
    assert call(avr, stack_floor=0x8FF - 1).reason is StopReason.STACK_OVERFLOW


def test_return_from_a_full_flash(avr_as: Assemble) -> None:
    """128 KiB: the return address is that of the last word, which is code as well."""
    emulator = SimAvr("atmega1284p")
    image = avr_as("jmp 0x1fffe\n", "atmega1284p").ljust(0x20000 - 2, b"\0") + RET
    emulator.load([(0, image)])
    result = emulator.call(0, limit=100, stack=0x40FF, stack_floor=0x4000)
    assert (result.reason, result.cycles) == (StopReason.RETURNED, 3 + 4)


def test_upper_flash_is_reached(avr_as: Assemble) -> None:
    emulator = SimAvr("atmega2560")
    code = avr_as("call 0x3fff0\nret\n", "atmega2560")
    emulator.load([(0, code), (0x3FFF0, RET)])
    result = emulator.call(0, limit=100, stack=0x21FF, stack_floor=0x2000, marks=[0x3FFF0])
    assert (result.reason, result.cycles) == (StopReason.RETURNED, 5 + 5 + 5)
    assert result.marks == (Mark(0x3FFF0, 5),)


def test_code_may_program_flash(avr: SimAvr, avr_as: Assemble) -> None:
    """SPM erases a page that holds the BREAK, which must not be remembered."""
    source = """
        ldi r31, 4
        ldi r16, 3               ; page erase
        out 0x37, r16
        spm
        jmp 0x400
        .org 0x400
        break
        """
    avr.load([(0, avr_as(source))])
    result = call(avr)
    assert result.reason is not StopReason.BREAK


@pytest.mark.parametrize("seed", range(20))
def test_random_images_never_kill_the_process(seed: int) -> None:
    draw = random.Random(seed)
    for mcu in ("atmega328p", "atmega2560", "attiny85"):
        emulator = SimAvr(mcu)
        emulator.load([(0, draw.randbytes(0x1000))])
        ram = emulator.ram
        result = emulator.call(
            2 * draw.randrange(0x800), limit=20_000, stack=ram[-1], stack_floor=ram[0], profile=True
        )
        assert result.profile is not None
        assert int(result.profile.cycles.sum()) == result.cycles


@pytest.mark.parametrize("source", ["lpm r0, Z", "elpm r0, Z", "st X, r0", "ld r0, Y", "push r0"])
def test_wild_pointers_never_kill_the_process(avr_as: Assemble, source: str) -> None:
    every_pointer = "".join(f"ldi r{register}, 255\n" for register in range(26, 32))
    top = "out 0x3b, r31\nout 0x3d, r31\nout 0x3e, r31\n"
    emulator = SimAvr("atmega2560")
    emulator.load([(0, avr_as(every_pointer + top + source + "\nret\n", "atmega2560"))])
    result = emulator.call(0, limit=100, stack=0x21FF, stack_floor=0x2000)
    assert result.reason is not StopReason.CYCLE_LIMIT


def test_call_starts_clean_but_keeps_memory(avr: SimAvr, avr_as: Assemble) -> None:
    source = (
        "add r0, r1\nsts 0x200, r0\nser r16\nmov r0, r16\nmov r1, r16\nsts 0x6e, r16\nsec\nret\n"
    )
    avr.load([(0, avr_as(source))])
    avr.write(0x201, b"kept")
    assert call(avr) == call(avr)
    assert avr.read(0x200, 5) == b"\0kept"


def test_load_forgets_everything(avr: SimAvr, avr_as: Assemble) -> None:
    avr.load([(0, RET), (0x100, RET)])
    avr.write(0x200, b"gone")
    avr.load([(0, avr_as("jmp 0x100\n"))])
    assert avr.read(0x200, 4) == bytes(4)
    assert call(avr).reason is StopReason.OUTSIDE_CODE


def test_load_forgets_eeprom(avr: SimAvr, avr_as: Assemble) -> None:
    write = "ldi r16, 7\nout 0x20, r16\nsbi 0x1f, 2\nsbi 0x1f, 1\nret\n"
    read = "sbi 0x1f, 0\nin r16, 0x20\nsts 0x200, r16\nret\n"
    for expected, source in ((b"\x00", write), (b"\xff", read)):
        avr.load([(0, avr_as(source))])
        call(avr)
        assert avr.read(0x200, 1) == expected


def test_machines_of_one_mcu_do_not_disturb_each_other(avr_as: Assemble) -> None:
    first, second = SimAvr("atmega328p"), SimAvr("atmega328p")
    increment = "lds r0, 0x200\ninc r0\nsts 0x200, r0\nret\n"
    first.load([(0, avr_as(increment))])
    second.load([(0, avr_as("nop\n" + increment))])
    for count in range(1, 4):
        assert call(first).cycles == 9
        assert call(second).cycles == 10
        assert first.read(0x200, 1) == second.read(0x200, 1) == bytes([count])
        first.write(0x300, b"mine")
        assert second.read(0x300, 4) == bytes(4)


def test_machines_run_in_threads(avr_as: Assemble) -> None:
    code = avr_as("ldi r17, 200\n1: dec r16\nbrne 1b\ndec r17\nbrne 1b\nret\n")
    results: list[CallResult] = []

    def work() -> None:
        emulator = SimAvr("atmega328p")
        emulator.load([(0, code)])
        results.extend(call(emulator) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    assert len({result.cycles for result in results}) == 1


def test_a_dead_objects_machine_is_used_again_as_new(avr_as: Assemble) -> None:
    gc.collect()
    first = SimAvr("atmega644")
    machine = first._machine
    first.load([(0, avr_as("ser r16\nsts 0x200, r16\nret\n", "atmega644"))])
    call(first)
    del first
    gc.collect()
    second, third = SimAvr("atmega644"), SimAvr("atmega644")
    assert second._machine == machine
    assert third._machine != machine
    assert second.read(0x200, 1) == b"\0"
    assert call(second).reason is StopReason.OUTSIDE_CODE


def test_unknown_mcu_is_told_the_known_ones() -> None:
    with pytest.raises(EmulatorError, match=r"atmega4809.*atmega328p.*attiny85"):
        SimAvr("atmega4809")


@pytest.mark.parametrize("segment", [(0, bytes(0x8001)), (0x7FFF, b"ab"), (-1, b"a")])
def test_image_outside_flash(avr: SimAvr, segment: tuple[int, bytes]) -> None:
    avr.load([(0, RET)])
    with pytest.raises(EmulatorError, match="32768 bytes of flash"):
        avr.load([segment])
    assert call(avr).reason is StopReason.RETURNED


def test_image_that_fills_flash(avr: SimAvr) -> None:
    avr.load([(0, RET * 0x4000)])
    assert call(avr).reason is StopReason.RETURNED


@pytest.mark.parametrize(("address", "size"), [(0xFF, 1), (0x8FF, 2), (0x900, 1), (-1, 1)])
def test_access_outside_ram(avr: SimAvr, address: int, size: int) -> None:
    with pytest.raises(EmulatorError, match="0x100-0x8ff"):
        avr.write(address, bytes(size))
    with pytest.raises(EmulatorError, match="0x100-0x8ff"):
        avr.read(address, size)


def test_access_to_all_of_ram(avr: SimAvr) -> None:
    data = random.Random(0).randbytes(0x800)
    avr.write(0x100, data)
    assert avr.read(0x100, 0x800) == data


@pytest.mark.parametrize(
    "options",
    [
        {"stack": 0x900},
        {"stack_floor": 0xFF},
        {"stack_floor": 0x8FF},
        {"limit": 0},
        {"marks": [1]},
        {"marks": [0, 0x100]},
        {"marks": [-2]},
    ],
)
def test_impossible_calls(avr: SimAvr, options: dict[str, Any]) -> None:
    avr.load([(0, RET)])
    with pytest.raises(EmulatorError):
        call(avr, **options)
    assert call(avr).marks == ()


@pytest.mark.parametrize("address", [1, -2, 0x8000])
def test_impossible_addresses(avr: SimAvr, address: int) -> None:
    with pytest.raises(EmulatorError, match="instruction"):
        avr.call(address, limit=10, stack=0x8FF, stack_floor=0x800)
