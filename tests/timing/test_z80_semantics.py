"""Z80: registers, flags and memory after each instruction, on random vectors, against a model.

A program pops all registers from memory, executes one instruction and pushes them all again.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import product

import pytest
from z80_model import BYTES, C, H, N, OutsideError, State, defined_flags, execute, halves
from z80_table import Row, codes, decode

from emulators.base import StopReason
from emulators.zilog import Z80

AT_LEAST, OF_EACH_MNEMONIC = 24, 500  # vectors of each opcode, and of each prefix and mnemonic
IDLE_VECTORS = 4  # of each opcode whose prefix has no effect
ELSEWHERE = {"jr", "djnz", "jp", "call", "ret", "rst", "halt", "di", "ei", "im", "in", "out"} | {
    *("ini", "outi", "inir", "otir")
}
I_AND_R = {0x47, 0x4F, 0x57, 0x5F}  # after ED
CODE, STATE, SAVED = 0x8000, 0x9000, 0x9100
DATA = range(0xA000, 0xC000)  # the memory that instructions may access
STACK, FLOOR = 0xFEFF, 0xFE00
# In the order in which they are popped; pushed in the reverse.
ORDER = ("bc'", "de'", "hl'", "af'", "bc", "de", "hl", "ix", "iy", "af")
POOL = [*range(256), *[0, 1, 0x0F, 0x10, 0x7F, 0x80, 0x99, 0xFE, 0xFF] * 28]
MEMORY = random.Random(1).randbytes(len(DATA))
Tried = Callable[[str, str, int, list[str]], None]


def word(value: int) -> bytes:
    return value.to_bytes(2, "little")


LOAD_STATE = (
    *(b"\x31" + word(STATE), b"\xc1\xd1\xe1\xd9\xf1\x08"),  # BC DE HL EXX AF EX
    *(b"\xc1\xd1\xe1\xdd\xe1\xfd\xe1\xf1", b"\xed\x7b" + word(STATE + 20)),
)
SAVE_STATE = (
    *(b"\xed\x73" + word(SAVED + 20), b"\x31" + word(SAVED + 20)),
    *(b"\xf5\xfd\xe5\xdd\xe5\xe5\xd5\xc5", b"\x08\xf5\xd9\xe5\xd5\xc5"),
    *(b"\x31" + word(STACK - 1), b"\xc9"),
)


def to_bytes(state: State) -> bytes:
    """Give a state as programs load and store it."""
    values = [state.r[name] if name[-1] == "'" else state.pair(name) for name in ORDER]
    return b"".join(map(word, [*values, state.r["sp"]]))


def random_states(dice: random.Random) -> Iterator[State]:
    """Yield a state with everything at random, with pointers into memory, with a small BC."""
    registers = {name: dice.choice(POOL) for name in BYTES}
    registers |= {name: dice.randrange(0x10000) for name in ORDER if name[-1] == "'"}
    registers["sp"] = dice.randrange(DATA.start + 8, DATA.stop - 8)
    yield State(dict(registers), bytearray(MEMORY), DATA.start)
    for pair in ("bc", "de", "hl", "ix", "iy"):
        high, low = halves(pair)
        registers[high] = dice.randrange((DATA.start >> 8) + 1, (DATA.stop >> 8) - 1)
        registers[low] = dice.choice(POOL)
    yield State(dict(registers), bytearray(MEMORY), DATA.start)
    registers |= {"b": 0, "c": dice.randint(1, 60)}
    yield State(dict(registers), bytearray(MEMORY), DATA.start)


def complete(dice: random.Random, code: bytes, row: Row) -> bytes:
    """Add random operands to an opcode; an address is one of memory, if the table tells."""
    if len(code) == 4 and code[-2] == 5:  # DDCB and FDCB
        return bytes([*code[:2], dice.choice(POOL), code[3]])
    missing = row.size - len(code)
    if row.mnemonic == "ld" and missing == 2 and row.cycles[0] >= 13 and code[-1] != 0x36:
        return code + word(dice.randrange(DATA.start, DATA.stop - 1))
    return code + bytes(dice.choices(POOL, k=missing))


def run(cpu: Z80, code: bytes, before: State) -> tuple[StopReason, State]:
    """Execute an instruction on a state; give the state that it left."""
    cpu.load([(CODE, b"".join([*LOAD_STATE, code, *SAVE_STATE]))])
    cpu.write(STATE, to_bytes(before))
    cpu.write(DATA.start, bytes(before.memory))
    result = cpu.call(CODE, limit=100_000, stack=STACK, stack_floor=FLOOR)
    saved = cpu.read(SAVED, 22)
    memory = bytearray(cpu.read(DATA.start, len(DATA)))
    after = State({}, memory, DATA.start)
    for n, name in enumerate((*ORDER, "sp")):
        value = int.from_bytes(saved[2 * n : 2 * n + 2], "little")
        if name[-1] == "'":
            after.r[name] = value
        else:
            after.set_pair(name, value)
    return result.reason, after


def differences(expected: State, got: State, flags: int) -> list[str]:
    """Tell what differs between two states, of the flags only these."""
    for state in (expected, got):
        state.r["f"] &= flags
    wrong = [
        f"{name} {expected.r[name]:#x}, got {got.r[name]:#x}"
        for name in expected.r
        if expected.r[name] != got.r[name]
    ]
    return wrong if expected.memory == got.memory else [*wrong, "memory"]


def vector(cpu: Z80, dice: random.Random, code: bytes, row: Row) -> str:
    """Try one vector; give what went wrong, or nothing."""
    full = complete(dice, code, row)
    for before in random_states(dice):
        expected = deepcopy(before)
        try:
            execute(expected, full)
        except OutsideError:
            continue
        reason, got = run(cpu, full, before)
        wrong = differences(expected, got, defined_flags(row.mnemonic))
        if reason is StopReason.RETURNED and not wrong:
            return ""
        return f"{full.hex(' ')} from {before.r}, {reason}: {'; '.join(wrong)}"
    return f"{full.hex(' ')} ({row.mnemonic}): found no state that keeps to memory"


def instructions() -> Iterator[tuple[str, bytes, Row]]:
    """Yield the instructions of the model, with their group and row."""
    for group, code in codes():
        row, opcode = decode(code + bytes(4))
        i_or_r = opcode in I_AND_R and 0xED in code[:-1]
        if row.mnemonic not in ELSEWHERE and not i_or_r:
            yield group, code, row


@pytest.mark.parametrize("part", range(4))
def test_instructions_against_the_model(part: int, tried: Tried) -> None:
    """In four parts, so that they may run side by side."""
    dice = random.Random(part)
    cpu = Z80()
    every = list(instructions())
    kinds = Counter((group, row.mnemonic) for group, _, row in every)
    chosen = every[part::4]
    wrong, count = [], 0
    for group, code, row in chosen:
        vectors = max(AT_LEAST, OF_EACH_MNEMONIC // kinds[group, row.mnemonic])
        if "without effect" in group:
            vectors = IDLE_VECTORS
        lines = [vector(cpu, dice, code, row) for _ in range(vectors)]
        wrong += [line for line in lines if line]
        count += vectors
    tried("Z80 semantics, random vectors", "z80", count, wrong)
    tried("Z80 semantics, instructions", "z80", len(chosen), [])


def test_daa_of_everything(tried: Tried) -> None:
    """Each A with each C, H and N."""
    cpu, code = Z80(), b"\x27"
    before = next(random_states(random.Random(6)))
    wrong, count = [], 0
    for a, carry, half, subtracted in product(range(256), (0, C), (0, H), (0, N)):
        before.r |= {"a": a, "f": carry | half | subtracted}
        expected = deepcopy(before)
        execute(expected, code)
        reason, got = run(cpu, code, before)
        lines = differences(expected, got, defined_flags("daa"))
        if lines or reason is not StopReason.RETURNED:
            wrong.append(f"A={a:02x} F={before.r['f']:02x}: {'; '.join(lines)}")
        count += 1
    tried("Z80 semantics, DAA of every A, C, H and N", "z80", count, wrong)
