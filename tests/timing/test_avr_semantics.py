"""AVR: registers, flags and memory after each instruction, on random vectors, against a model.

A program loads all 32 registers, the flags, SP, RAMPZ and a port from RAM, executes one
instruction and stores them all again; then the whole of RAM must be what the model says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from avr_model import FLAGS, MODEL, SREG, State, X, Y, Z, execute
from avr_table import DEVICES, Device, all_rows, encode, legal, to_bytes

from emulators.base import StopReason
from emulators.simavr import SimAvr

VECTORS = {"atmega328p": 1000, "atmega1284p": 600, "atmega2560": 600, "attiny85": 300}
OPCODES = 20  # of each instruction, at most; some more whose two registers are one
POOL = [*range(256), *[0, 1, 0x7F, 0x80, 0xFE, 0xFF] * 32]  # half of all bytes are extreme
PORT, SPL, SPH, RAMPZ = 0x1E, 0x3D, 0x3E, 0x3B
SIZE = 37  # bytes of state: 32 registers, flags, port, RAMPZ, SPL, SPH
FLAGS_AT, PORT_AT, RAMPZ_AT, SPL_AT = 32, 33, 34, 35
Tried = Callable[[str, str, int, list[str]], None]


@dataclass(frozen=True, slots=True)
class Program:
    """Where the program of an opcode begins, and the opcode's second word."""

    opcode: int
    second: int
    address: int


def ports(device: Device) -> dict[int, int]:
    """Give the I/O addresses that are loaded from the state, by their offset in it."""
    rampz = {RAMPZ_AT: RAMPZ} if "ELPM" in device.has else {}
    return {FLAGS_AT: SREG - 0x20, PORT_AT: PORT, SPL_AT: SPL} | rampz


def program(device: Device, opcode: int, second: int) -> list[int]:
    """Give the words that load the state, execute the opcode and store the state."""
    row = all_rows()[opcode]
    assert row is not None
    state, saved = device.ram.start, device.ram.start + SIZE
    words = []
    for offset, port in ports(device).items():
        words += [encode("lds", d=16), state + offset, encode("out", A=port, d=16)]
    for n in range(32):
        words += [encode("lds", d=n), state + n]
    words += [opcode, second][: row.words]
    for n in range(32):
        words += [encode("sts", d=n), saved + n]
    for offset, port in (ports(device) | {SPL_AT + 1: SPH}).items():
        words += [encode("in", A=port, d=16), encode("sts", d=16), saved + offset]
    return [*words, encode("break")]


def is_defined(mnemonic: str, fields: dict[str, int]) -> bool:
    """Tell whether the manual defines a result, and the model has the port."""
    if mnemonic[-1] == "+" or "-" in mnemonic:
        pointer = {"X": X, "Y": Y, "Z": Z}[mnemonic.strip("+")[-1]]
        return fields["d"] not in (pointer, pointer + 1)
    if mnemonic in ("in", "out"):
        return fields["A"] in ((PORT, SPL, SPH, 0x3F) if mnemonic == "in" else (PORT, 0x3F))
    return mnemonic not in ("sbi", "cbi") or fields["A"] == PORT


def opcodes_of(device: Device, dice: random.Random) -> dict[str, list[int]]:
    """Choose opcode values of each instruction of the model."""
    all_of: dict[str, list[tuple[int, bool]]] = {}
    for opcode, row in legal(device):
        fields = row.fields(opcode)
        if row.mnemonic in MODEL and is_defined(row.mnemonic, fields):
            same = fields.get("r") == fields.get("d", -1)
            all_of.setdefault(row.mnemonic, []).append((opcode, same))
    chosen = {}
    for mnemonic, values in all_of.items():
        some = dice.sample(values, min(OPCODES, len(values)))
        same_register = [value for value in values if value[1]]
        some += dice.sample(same_register, min(4, len(same_register)))
        chosen[mnemonic] = sorted({opcode for opcode, _ in some})
    return chosen


def images(device: Device, dice: random.Random) -> Iterator[tuple[bytes, list[Program]]]:
    """Yield images that fill flash with programs, one for each opcode chosen."""
    words: list[int] = []
    programs: list[Program] = []
    for opcode in (op for ops in opcodes_of(device, dice).values() for op in ops):
        second = data_address(device, dice)
        code = program(device, opcode, second)
        if 2 * (len(words) + len(code)) > device.flash_size:
            yield to_bytes(words), programs
            words, programs = [], []
        programs.append(Program(opcode, second, 2 * len(words)))
        words += code
    yield to_bytes(words), programs


def data_address(device: Device, dice: random.Random) -> int:
    """Give an address in RAM, away from states and stack however it is displaced."""
    return dice.randrange(device.ram.start + 2 * SIZE + 1, device.ram.stop - 100)


def random_state(device: Device, dice: random.Random, mnemonic: str, image: bytes) -> State:
    """Give a state with as much at random as the instruction allows."""
    registers = dice.choices(POOL, k=32)
    flash = image.ljust(device.flash_size, b"\xff")
    top_page = (device.flash_size - 1) >> 16
    rampz = dice.randint(0, top_page) if "ELPM" in device.has else 0
    memory = bytearray(device.ram.start) + MEMORY[: len(device.ram)]
    memory[0x20 + PORT] = dice.choice(POOL)
    state = State(registers, {}, device.stack - dice.randrange(8, 24), rampz, memory, flash)
    state.sreg = dice.choice(POOL)
    if "lpm" in mnemonic:
        last = min(device.flash_size, 0x10000) - 1
        state.set_word(Z, dice.choice([dice.randint(0, last), 0, last, 0x00FF]))
        if state.word(Z) == 0xFFFF and rampz == top_page:  # the end of flash
            state.rampz = 0
    elif mnemonic[:2] in ("ld", "st") and mnemonic != "ldi":
        for pointer in (X, Y, Z):
            state.set_word(pointer, data_address(device, dice))
    return state


MEMORY = random.Random(1).randbytes(0x4000)


def saved(device: Device, state: State) -> bytes:
    """Give a state as programs load and store it."""
    rampz = state.rampz if "ELPM" in device.has else MEMORY[SIZE + RAMPZ_AT]
    sp = state.sp.to_bytes(2, "little")
    return bytes([*state.r, state.sreg, state.memory[0x20 + PORT], rampz]) + sp


def difference(device: Device, expected: bytes, got: bytes) -> str:
    """Name what differs between two contents of RAM."""
    names = [*(f"r{n}" for n in range(32)), FLAGS[::-1], "port", "RAMPZ", "SPL", "SPH"]
    lines = []
    for n, (want, have) in enumerate(zip(expected, got, strict=True)):
        if want != have:
            name = names[n - SIZE] if SIZE <= n < 2 * SIZE else f"[{device.ram.start + n:#x}]"
            lines.append(f"{name} {want:#04x}, got {have:#04x}")
    return "; ".join(lines)


def vector(
    emulator: SimAvr, device: Device, each: Program, dice: random.Random, image: bytes
) -> str:
    """Try one vector; give what went wrong, or nothing."""
    row = all_rows()[each.opcode]
    assert row is not None
    state = random_state(device, dice, row.mnemonic, image)
    before = saved(device, state)
    state.memory[device.ram.start : device.ram.start + SIZE] = before
    emulator.write(device.ram.start, bytes(state.memory[device.ram.start :]))
    result = emulator.call(
        each.address, limit=1000, stack=device.stack, stack_floor=device.stack_floor
    )
    execute(state, each.opcode, each.second)
    start = device.ram.start + SIZE
    state.memory[start : start + SIZE] = saved(device, state)
    # The topmost bytes hold the address to return to.
    expected = bytes(state.memory[device.ram.start : device.stack - 2])
    got = emulator.read(device.ram.start, len(expected))
    if result.reason is StopReason.BREAK and got == expected:
        return ""
    wrong = difference(device, expected, got)
    return f"{row.mnemonic} {each.opcode:04x}, {result.reason}, from {before.hex()}: {wrong}"


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_instructions_against_the_model(device: Device, tried: Tried) -> None:
    dice = random.Random(2)
    emulator = SimAvr(device.name)
    counts = {mnemonic: len(values) for mnemonic, values in opcodes_of(device, dice).items()}
    wrong: list[str] = []
    vectors = 0
    for image, programs in images(device, dice):
        emulator.load([(0, image)])
        for each in programs:
            row = all_rows()[each.opcode]
            assert row is not None
            share = -(-VECTORS[device.name] // counts[row.mnemonic])
            lines = [vector(emulator, device, each, dice, image) for _ in range(share)]
            wrong += filter(None, lines)
            vectors += share
    tried("AVR semantics, random vectors", device.name, vectors, wrong)
    tried("AVR semantics, instructions", device.name, len(counts), [])


def test_the_model_has_every_instruction() -> None:
    """But for those that jump, skip or stop, which test_avr_timing follows."""
    elsewhere = {"brbs", "brbc", "cpse", "sbrc", "sbrs", "sbic", "sbis", "rjmp", "jmp", "ijmp"}
    elsewhere |= {"eijmp", "rcall", "call", "icall", "eicall", "ret", "reti"}
    elsewhere |= {"sleep", "break", "spm"}
    assert {row.mnemonic for row in all_rows() if row} == MODEL.keys() | elsewhere


CALLS: dict[
    str, Callable[[int, int], list[int]]
] = {  # what is executed at `here` to call the word `there`
    "rcall": lambda here, there: [encode("rcall", k=there - here - 1 & 0xFFF)],
    "call": lambda _, there: [encode("call", k=there >> 16), there & 0xFFFF],
    "icall": lambda *_: [encode("icall")],
    "eicall": lambda *_: [encode("eicall")],
}


def places(device: Device, mnemonic: str, dice: random.Random) -> tuple[int, int, int]:
    """Give word addresses of a call and of what it calls, and EIND."""
    words = device.flash_size // 2
    here = dice.randrange(16, words - 16)
    if mnemonic == "rcall":
        there = dice.randrange(max(16, here - 2000), min(words - 16, here + 2000))
    else:
        there = dice.randrange(16, min(words, 0x10000 if mnemonic == "icall" else words) - 16)
    if abs(here - there) < 16:
        return places(device, mnemonic, dice)
    return here, there, there >> 16


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_calls_push_the_address_that_returns_go_to(device: Device, tried: Tried) -> None:
    dice = random.Random(3)
    emulator = SimAvr(device.name)
    wrong: list[str] = []
    names = [row.mnemonic for _, row in legal(device) if row.mnemonic in CALLS]
    tries = [mnemonic for mnemonic in dict.fromkeys(names) for _ in range(40)]
    for mnemonic in tries:
        here, there, eind = places(device, mnemonic, dice)
        before = [encode("ldi", d=14, K=there & 0xFF), encode("ldi", d=15, K=there >> 8 & 0xFF)]
        if mnemonic == "eicall":
            before += [encode("ldi", d=0, K=eind), encode("out", A=0x3C, d=16)]
        call = CALLS[mnemonic](here, there)
        code = to_bytes([*before, *call, encode("nop"), encode("break")])
        start = here - len(before)
        emulator.load([(2 * start, code), (2 * there, to_bytes([encode("ret")]))])
        after = here + len(call)
        result = emulator.call(
            2 * start,
            limit=1000,
            stack=device.stack,
            stack_floor=device.stack_floor,
            marks=[2 * there, 2 * after],
        )
        pushed = emulator.read(device.stack - 2 * device.pc_bytes + 1, device.pc_bytes)
        got = (int.from_bytes(pushed, "big"), result.stack_peak, [m.pc // 2 for m in result.marks])
        expected = (after, 2 * device.pc_bytes, [there, after])
        if got != expected or result.reason is not StopReason.BREAK:
            wrong.append(f"{mnemonic} at {here:#x}: expected {expected}, got {got}")
    tried("AVR calls and the returns from them", device.name, len(tries), wrong)
