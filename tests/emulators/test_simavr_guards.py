"""simavr: what a memory map forbids, and what comes within a byte of it and passes."""

from typing import Any

import pytest
from gnu_as import Assemble

from emulators.base import CallResult, EmulatorError, MemoryMap, StopReason
from emulators.simavr import SimAvr

CONSTANTS = range(0x100, 0x104)
DATA = range(0x200, 0x204)
TOP, FLOOR = 0x8FF, 0x8F0
# From the first byte outside to the last one inside: X, Y and Z point at it.
STACKS = {"atmega328p": (TOP, FLOOR), "atmega2560": (0x21FF, 0x21F0), "attiny85": (0x25F, 0x250)}


def run(code: bytes, mcu: str = "atmega328p", **options: Any) -> tuple[SimAvr, CallResult]:
    """Run code at 0, whatever its length, with the constants, data and stack named above."""
    data = options.pop("data", (DATA,))
    far = options.pop("constants", (CONSTANTS,))
    emulator = SimAvr(mcu)
    memory = MemoryMap((range(len(code)),), far, data)
    emulator.load([(0, code), (CONSTANTS[0], b"\x11\x22\x33\x44")], memory)
    emulator.write(emulator.ram[0], b"\xa5" * len(emulator.ram))
    stack, floor = STACKS[mcu]
    settings = {"limit": 10_000, "stack": stack, "stack_floor": floor} | options
    return emulator, emulator.call(0, **settings)


def pointer(register: int, value: int) -> str:
    low, high = value & 0xFF, value >> 8 & 0xFF
    return f"ldi r{register}, {low}\nldi r{register + 1}, {high}\n"


def place(address: int, instruction: str) -> str:
    """Make the pointer of a load or store form `address`."""
    name = next(letter for letter in "XYZ" if letter in instruction)
    start = address + ("-" in instruction) - (63 if "+63" in instruction else 0)
    return pointer({"X": 26, "Y": 28, "Z": 30}[name], start) + instruction + "\nret\n"


LOADS = ["X", "X+", "-X", "Y", "Y+", "-Y", "Y+63", "Z", "Z+", "-Z", "Z+63"]


def load_of(form: str) -> str:
    return f"{'ldd' if '63' in form else 'ld'} r0, {form}"


def store_of(form: str) -> str:
    return f"{'std' if '63' in form else 'st'} {form}, r0"


@pytest.mark.parametrize("form", LOADS)
@pytest.mark.parametrize("address", [DATA.start - 1, DATA.stop, FLOOR - 1, TOP + 1, 0x5D, 0])
def test_load_outside(avr_as: Assemble, form: str, address: int) -> None:
    _, result = run(avr_as(place(address, load_of(form))))
    assert (result.reason, result.address) == (StopReason.BAD_READ, address)
    assert (result.pc, result.cycles) == (4, 2)


@pytest.mark.parametrize("form", LOADS)
@pytest.mark.parametrize("address", [DATA[0], DATA[-1], FLOOR, TOP])
def test_load_inside(avr_as: Assemble, form: str, address: int) -> None:
    assert run(avr_as(place(address, load_of(form))))[1].reason is StopReason.RETURNED


@pytest.mark.parametrize("form", LOADS)
@pytest.mark.parametrize("address", [DATA.start - 1, DATA.stop, FLOOR - 1])
def test_store_outside_has_no_effect(avr_as: Assemble, form: str, address: int) -> None:
    avr, result = run(avr_as(place(address, store_of(form))))
    assert (result.reason, result.address) == (StopReason.BAD_WRITE, address)
    assert (result.pc, result.cycles) == (4, 2)
    assert avr.read(address, 1) == b"\xa5"


@pytest.mark.parametrize("form", LOADS)
@pytest.mark.parametrize("address", [DATA[0], DATA[-1], FLOOR])
def test_store_inside(avr_as: Assemble, form: str, address: int) -> None:
    avr, result = run(avr_as(place(address, store_of(form))))
    assert result.reason is StopReason.RETURNED
    assert avr.read(address, 1) == b"\0"


@pytest.mark.parametrize("inside", [DATA[0], DATA[-1], FLOOR, TOP - 2, 0x5D, 0x5E, 0x5F])
def test_named_addresses_inside(avr_as: Assemble, inside: int) -> None:
    code = avr_as(f"lds r0, {inside}\nsts {inside}, r0\nret\n")
    assert run(code)[1].reason is StopReason.RETURNED


@pytest.mark.parametrize("outside", [DATA.start - 1, DATA.stop, FLOOR - 1, TOP + 1, 0x5C, 0x60, 0])
def test_named_addresses_outside(avr_as: Assemble, outside: int) -> None:
    _, result = run(avr_as(f"lds r0, {outside}\nret\n"))
    assert (result.reason, result.address, result.pc) == (StopReason.BAD_READ, outside, 0)
    _, result = run(avr_as(f"nop\nsts {outside}, r0\nret\n"))
    assert (result.reason, result.address, result.pc) == (StopReason.BAD_WRITE, outside, 2)


PORT = 0x05  # PORTB; as a data address 0x25
ON_PORT = {
    "in r0, {}": StopReason.BAD_READ,
    "out {}, r0": StopReason.BAD_WRITE,
    "sbi {}, 0": StopReason.BAD_WRITE,
    "cbi {}, 0": StopReason.BAD_WRITE,
    "sbic {}, 0": StopReason.BAD_READ,
    "sbis {}, 0": StopReason.BAD_READ,
}


@pytest.mark.parametrize("instruction", ON_PORT)
def test_io_registers_must_be_declared(avr_as: Assemble, instruction: str) -> None:
    code = avr_as(f"nop\n{instruction.format(PORT)}\nnop\nret\n")
    for near in (0x24, 0x26):
        _, result = run(code, data=(range(near, near + 1),))
        assert (result.reason, result.address) == (ON_PORT[instruction], 0x25)
        assert (result.pc, result.cycles) == (2, 1)
    assert run(code, data=(range(0x25, 0x26),))[1].reason is StopReason.RETURNED


@pytest.mark.parametrize(
    ("mcu", "own"),
    [("atmega328p", (0x3D, 0x3E, 0x3F)), ("atmega2560", (0x3B, 0x3C, 0x3D, 0x3E, 0x3F))],
)
def test_the_cpus_own_registers_are_free(avr_as: Assemble, mcu: str, own: tuple[int, ...]) -> None:
    for register in range(0x38, 0x40):
        code = avr_as(f"in r0, {register}\nout {register}, r0\nret\n", mcu)
        _, result = run(code, mcu)
        expected = StopReason.RETURNED if register in own else StopReason.BAD_READ
        assert result.reason is expected


@pytest.mark.parametrize("form", ["lpm", "lpm r0, Z", "lpm r0, Z+"])
def test_lpm_reads_constants_only(avr_as: Assemble, form: str) -> None:
    for address in (0, CONSTANTS[0] - 1, CONSTANTS.stop, 0xFFFF):
        _, result = run(avr_as(pointer(30, address) + form + "\nret\n"))
        assert (result.reason, result.address) == (StopReason.BAD_READ, address)
        assert result.pc == 4
    for address in (CONSTANTS[0], CONSTANTS[-1]):
        source = f"{pointer(30, address)}{form}\nsts {DATA[0]}, r0\nret\n"
        avr, result = run(avr_as(source))
        assert result.reason is StopReason.RETURNED
        assert avr.read(DATA[0], 1) == bytes([0x11 * (address - CONSTANTS[0] + 1)])


@pytest.mark.parametrize("form", ["elpm", "elpm r0, Z", "elpm r0, Z+"])
def test_elpm_reads_constants_only(avr_as: Assemble, form: str) -> None:
    far = range(0x1FFFE, 0x20002)  # across RAMPZ's banks
    for address in (far.start - 1, far.stop, 0x0FFFE, 0x3FFFF, 0xFFFFFF):
        source = f"ldi r16, {address >> 16}\nout 0x3b, r16\n{pointer(30, address)}{form}\nret\n"
        _, result = run(avr_as(source, "atmega2560"), "atmega2560", constants=(far,))
        assert (result.reason, result.address) == (StopReason.BAD_READ, address)
    for address in (far[0], far[-1]):
        source = f"ldi r16, {address >> 16}\nout 0x3b, r16\n{pointer(30, address)}{form}\nret\n"
        _, result = run(avr_as(source, "atmega2560"), "atmega2560", constants=(far,))
        assert result.reason is StopReason.RETURNED


def test_lpm_ignores_rampz(avr_as: Assemble) -> None:
    source = f"ldi r16, 1\nout 0x3b, r16\n{pointer(30, CONSTANTS[0])}lpm r0, Z\nret\n"
    assert run(avr_as(source, "atmega2560"), "atmega2560")[1].reason is StopReason.RETURNED


def test_spm_is_forbidden(avr_as: Assemble) -> None:
    source = f"{pointer(30, 0x1234)}ldi r16, 1\nout 0x37, r16\nspm\nret\n"
    spmcsr = range(0x57, 0x58)
    _, result = run(avr_as(source), data=(spmcsr,))
    assert (result.reason, result.address) == (StopReason.WRITE_TO_CODE, 0x1234)
    assert (result.pc, result.cycles) == (8, 4)
    source = f"ldi r16, 2\nout 0x3b, r16\n{pointer(30, 0x1234)}spm\nret\n"
    _, result = run(avr_as(source, "atmega2560"), "atmega2560")
    assert (result.reason, result.address) == (StopReason.WRITE_TO_CODE, 0x21234)


def test_constants_are_not_code(avr_as: Assemble) -> None:
    _, result = run(avr_as(f"nop\nrjmp .+{CONSTANTS[0] - 4}\n"))
    assert (result.reason, result.pc) == (StopReason.OUTSIDE_CODE, 2)


DEPTHS = {"push r0\npop r0\nret\n": 1, "rcall 1f\nret\n1: ret\n": 0}


@pytest.mark.parametrize("mcu", STACKS)
@pytest.mark.parametrize("source", DEPTHS)
def test_stack_may_reach_its_floor_and_no_byte_more(
    avr_as: Assemble, mcu: str, source: str
) -> None:
    """What lies below is data, which would be overwritten."""
    address_size = 3 if mcu == "atmega2560" else 2
    depth = address_size + (DEPTHS[source] or address_size)
    top = STACKS[mcu][0]
    code = avr_as(source, mcu)
    below = range(top - 0x20, top + 1)
    _, result = run(code, mcu, data=(below,), stack_floor=top - depth + 1)
    assert (result.reason, result.stack_peak) == (StopReason.RETURNED, depth)
    floor = top - depth + 2
    avr, result = run(code, mcu, data=(below,), stack_floor=floor)
    assert (result.reason, result.address) == (StopReason.STACK_OVERFLOW, floor - 1)
    assert (result.pc, result.cycles) == (0, 0)
    assert avr.read(floor - 1, 1) == b"\xa5"


def test_stack_pointer_below_the_floor(avr_as: Assemble) -> None:
    source = "in r28, 0x3d\nsubi r28, {}\nout 0x3d, r28\nsubi r28, -{}\nout 0x3d, r28\nret\n"
    free = TOP - 2 - FLOOR + 1
    assert run(avr_as(source.format(free, free)))[1].reason is StopReason.RETURNED
    _, result = run(avr_as(source.format(free + 1, free + 1)))
    assert (result.reason, result.pc) == (StopReason.STACK_OVERFLOW, 4)


def test_stack_above_its_top(avr_as: Assemble) -> None:
    """POP and RET may not read, nor PUSH write, what lies above."""
    top = 0x8F8
    for source, reason, address, pc in (
        ("pop r0\n" * 2 + "pop r0\nret\n", StopReason.BAD_READ, top + 1, 4),
        ("pop r0\nret\n", StopReason.BAD_READ, top + 1, 2),
        ("in r16, 0x3d\nsubi r16, -3\nout 0x3d, r16\npush r0\n", StopReason.BAD_WRITE, top + 1, 6),
    ):
        _, result = run(avr_as(source), stack=top)
        assert (result.reason, result.address, result.pc) == (reason, address, pc)


def test_interrupt_that_overflows_the_stack_is_undone(avr_as: Assemble) -> None:
    source = """
        rjmp main
        .org 0x40
        reti
main:   ldi r16, 1
        sts 0x6e, r16            ; TIMSK0: interrupt on overflow
        out 0x25, r16            ; TCCR0B: no prescaler
        ldi r16, 250
        out 0x26, r16            ; TCNT0
        sei
        .rept 20
        nop
        .endr
        ret
        """
    code = avr_as(source)
    padding = code[:2].ljust(0x40, b"\0") + code[0x40:]
    timer = (range(0x45, 0x47), range(0x6E, 0x6F), range(0x8F0, 0x900))
    passes = run(padding, data=timer, stack_floor=TOP - 3)[1]
    assert (passes.reason, passes.stack_peak) == (StopReason.RETURNED, 4)
    avr, result = run(padding, data=timer, stack_floor=TOP - 2, profile=True)
    assert (result.reason, result.address) == (StopReason.STACK_OVERFLOW, TOP - 3)
    assert avr.read(TOP - 3, 2) == b"\xa5\xa5"
    assert result.profile is not None
    assert int(result.profile.cycles.sum()) == result.cycles


def test_forbidden_access_at_the_limit_is_not_begun(avr_as: Assemble) -> None:
    code = avr_as("nop\nnop\nsts 0x300, r0\nret\n")
    assert run(code, limit=2)[1].reason is StopReason.CYCLE_LIMIT
    assert run(code, limit=3)[1].reason is StopReason.BAD_WRITE


def test_a_map_holds_until_the_next_load(avr_as: Assemble) -> None:
    code = avr_as("sts 0x300, r0\nret\n")
    avr = SimAvr("atmega328p")
    options = {"limit": 100, "stack": TOP, "stack_floor": FLOOR}
    guarded = MemoryMap((range(len(code)),), (), ())
    for memory, reason in (
        (guarded, StopReason.BAD_WRITE),
        (None, StopReason.RETURNED),
        (guarded, StopReason.BAD_WRITE),
    ):
        avr.load([(0, code)], memory)
        for _ in range(2):
            assert avr.call(0, **options).reason is reason
    lower = {"stack": 0x307, "stack_floor": 0x300}
    assert avr.call(0, **(options | lower)).reason is StopReason.RETURNED
    assert avr.call(0, **options).reason is StopReason.BAD_WRITE


def test_a_higher_stack_of_the_same_floor(avr_as: Assemble) -> None:
    code = avr_as("lds r0, 0x8f8\nret\n")
    avr = SimAvr("atmega328p")
    avr.load([(0, code)], MemoryMap((range(len(code)),), (), ()))
    for stack, reason in (
        (0x8F7, StopReason.BAD_READ),
        (0x8F8, StopReason.RETURNED),
        (0x8F7, StopReason.BAD_READ),
    ):
        assert avr.call(0, limit=99, stack=stack, stack_floor=FLOOR).reason is reason


ILLEGAL = [
    ("attiny85", 0x9C01, "0x9c01, MUL, which the attiny85 lacks"),
    ("attiny85", 0x940C, "JMP, which the attiny85 lacks"),
    ("attiny85", 0x940E, "CALL, which"),
    ("atmega8", 0x9598, "BREAK, which"),
    ("atmega328p", 0x95D8, "ELPM, which"),
    ("atmega328p", 0x9419, "EIJMP, which"),
    ("atmega1284p", 0x9519, "EICALL, which"),
    ("atmega2560", 0xFFFF, "no AVR instruction"),
    ("atmega328p", 0x0001, "no AVR instruction"),
]


@pytest.mark.parametrize(("mcu", "opcode", "message"), ILLEGAL)
def test_illegal_code(mcu: str, opcode: int, message: str) -> None:
    """A map's code is refused; other code ends when it comes to that, having cost nothing."""
    code = b"\0\0" + opcode.to_bytes(2, "little") + b"\0\0\x08\x95"
    emulator = SimAvr(mcu)
    with pytest.raises(EmulatorError, match=f"at 0x2 is .*{message}"):
        emulator.load([(0, code)], MemoryMap((range(len(code)),), (), ()))
    emulator.load([(0, code)])
    ram = emulator.ram
    result = emulator.call(0, limit=100, stack=ram[-1], stack_floor=ram[0])
    assert (result.reason, result.pc, result.cycles) == (StopReason.INVALID_OPCODE, 2, 1)


def test_the_second_word_of_an_instruction_is_no_code_to_check(avr_as: Assemble) -> None:
    """But it is, when jumped to."""
    code = avr_as("lds r0, 0xffff\nret\n")
    memory = MemoryMap((range(6),), (), (range(0x100, 0x200),))
    avr = SimAvr("atmega328p")
    avr.load([(0, code)], memory)
    options = {"limit": 100, "stack": TOP, "stack_floor": FLOOR}
    assert avr.call(0, **options).address == 0xFFFF
    result = avr.call(2, **options)
    assert (result.reason, result.pc) == (StopReason.INVALID_OPCODE, 2)


@pytest.mark.parametrize("instruction", ["jmp 0", "call 0", "lds r0, 0x200", "sts 0x200, r0"])
def test_instruction_cut_off(avr_as: Assemble, instruction: str) -> None:
    code = avr_as(f"nop\n{instruction}\n")
    avr = SimAvr("atmega328p")
    avr.load([(0, code)], MemoryMap((range(6),), (), ()))
    with pytest.raises(EmulatorError, match=r"at 0x2 .*cuts off"):
        avr.load([(0, code)], MemoryMap((range(4),), (), ()))
    avr.load([(0, code[:4])])
    result = avr.call(0, limit=100, stack=TOP, stack_floor=FLOOR)
    assert (result.reason, result.pc, result.cycles) == (StopReason.INVALID_OPCODE, 2, 1)


@pytest.mark.parametrize(
    "memory",
    [
        MemoryMap((range(0x8002),), (), ()),
        MemoryMap((range(1),), (), ()),
        MemoryMap((range(1, 3),), (), ()),
        MemoryMap((range(0, 4, 2),), (), ()),
        MemoryMap((), (range(0x7FFF, 0x8001),), ()),
        MemoryMap((), (range(-1, 1),), ()),
        MemoryMap((), (), (range(0x100, 0x901),)),
    ],
)
def test_map_outside_the_device(memory: MemoryMap) -> None:
    avr = SimAvr("atmega328p")
    avr.load([(0, b"\x08\x95")])
    with pytest.raises(EmulatorError):
        avr.load([(0, bytes(4))], memory)
    assert avr.call(0, limit=9, stack=TOP, stack_floor=FLOOR).reason is StopReason.RETURNED
