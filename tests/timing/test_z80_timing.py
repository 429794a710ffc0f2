"""Z80: T-states and M1 cycles of every instruction, with all prefixes, taken and not taken.

Each instruction executes alone: a call ends at a limit one T-state after what prepares the state.
M1 cycles are told by the register R, which counts them and is read where the instruction goes on.
"""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from z80_table import Row, codes, decode

from emulators.base import StopReason
from emulators.zilog import Z80
from kernels.asm import AsmError, Assembly
from kernels.isa import Form, Names
from kernels.z80.isa import Z80 as ISA

CODE, TARGET, RESULT = 0x8000, 0x8150, 0x9FFF
DATA, FREE = 0xA000, 0xB000  # what HL, IX, IY point to, and DE
STACK, FLOOR = 0xFEFF, 0xFE00
HALT, RET = b"\x76", b"\xc9"
# Stores R and halts: LD A,R; LD (RESULT),A. It fits the 8 bytes from one RST to the next.
READ_R = b"\xed\x5f\x32" + RESULT.to_bytes(2, "little") + HALT
Tried = Callable[[str, str, int, list[str]], None]


@dataclass(frozen=True, slots=True)
class Case:
    """An instruction and the state it starts from; `goes_to` None: to the return address."""

    group: str
    code: bytes
    row: Row
    taken: bool
    goes_to: int | None
    flags: int = 0
    a: int = 0x55
    hl: int = DATA
    bc: int = 0x0101

    @property
    def cycles(self) -> int:
        """T-states that it must take."""
        return self.row.cycles[-1 if self.taken else 0]


# ---- the cases ---------------------------------------------------------------------------------


def word(value: int) -> bytes:
    return value.to_bytes(2, "little")


def complete(code: bytes, row: Row, address: int) -> bytes:
    """Add operands to an opcode: a displacement of 5, a jump's distance, or an address."""
    missing = row.size - len(code)
    if row.mnemonic in ("jr", "djnz"):
        return code + bytes([JR_DISTANCE])
    return code + (word(address) if missing == 2 else bytes([5] * missing))


JR_DISTANCE = 0x30
CONDITION_MASKS = (0x40, 0x01, 0x04, 0x80)  # Z, C, P/V, S


def cases_of(group: str, code: bytes) -> Iterator[Case]:
    """Yield the cases of an instruction: one, or each of its ways."""
    row, opcode = decode(code + bytes(4))
    following = HERE + row.size
    jumps = row.mnemonic in ("jp", "call")
    full = complete(code, row, TARGET if jumps else DATA + 0x20)
    plain = Case(group, full, row, taken=False, goes_to=following)
    name = row.mnemonic
    if name in ("jr", "djnz"):
        target = following + JR_DISTANCE
    elif name == "rst":
        target = row.fields(opcode)["t"] * 8
    else:
        target = TARGET
    if "c" in row.bits:  # a condition; for RET the target is the return address
        condition = row.fields(opcode)["c"]
        for flags in (0x00, 0xFF):
            holds = bool(flags & CONDITION_MASKS[condition >> 1]) == bool(condition & 1)
            goes_to = (None if name == "ret" else target) if holds else following
            yield replace(plain, flags=flags, taken=holds, goes_to=goes_to)
    elif name == "djnz":
        yield replace(plain, bc=0x0100)
        yield replace(plain, bc=0x0200, taken=True, goes_to=target)
    elif len(row.cycles) == 2:  # a repeat
        counter = 1 if name in ("ldir", "cpir") else 0x0100
        yield replace(plain, bc=counter)
        yield replace(plain, bc=2 * counter, taken=True, goes_to=following - 2)
        if name == "cpir":
            yield replace(plain, bc=2, a=0)  # found
    elif name == "ret":
        yield replace(plain, goes_to=None)
    elif name in ("jp", "jr", "call", "rst"):
        yield replace(plain, hl=TARGET, goes_to=target)
    else:
        yield plain


def prologue(case: Case) -> bytes:
    """Give what brings about the state of a case."""
    high = b"\x01" + word(case.a << 8 | case.flags) + b"\xc5\xf1"  # LD BC,nn; PUSH BC; POP AF
    pairs = b"\x01" + word(case.bc) + b"\x11" + word(FREE) + b"\x21" + word(case.hl)
    indexes = b"\xdd\x21" + word(case.hl) + b"\xfd\x21" + word(case.hl)
    return high + pairs + indexes


def steps(code: bytes) -> Iterator[Row]:
    """Yield the rows of straight code."""
    while code:
        row, _ = decode(code)
        yield row
        code = code[row.size :]


PROLOGUE_SIZE = 5 + 9 + 8
HERE = CODE + PROLOGUE_SIZE


def all_cases() -> list[Case]:
    return [case for group, code in codes() for case in cases_of(group, code)]


# ---- the tests ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cpu() -> Z80:
    return Z80()


def load(cpu: Z80, case: Case) -> int:
    """Load a case with code wherever it may go; give the T-states before the instruction."""
    before = prologue(case)
    cpu.load(
        [
            (0, READ_R.ljust(8, b"\0") * 8),
            (CODE, (before + case.code + READ_R).ljust(0x100, b"\0")),
            (HERE + case.row.size + JR_DISTANCE, READ_R),
            (TARGET, READ_R),
        ]
    )
    return sum(row.cycles[0] for row in steps(before))


def timed(cpu: Z80, case: Case) -> str:
    """Time one case; give what is wrong, or nothing."""
    before = load(cpu, case)
    result = cpu.call(CODE, limit=before + 1, stack=STACK, stack_floor=FLOOR)
    cycles = result.cycles - before
    if case.goes_to is None:
        ended = result.reason is StopReason.RETURNED
    elif case.row.mnemonic == "halt":
        ended = result.reason is StopReason.HALT
    else:
        ended = (result.reason, result.pc) == (StopReason.CYCLE_LIMIT, case.goes_to)
    if ended and cycles == case.cycles:
        return ""
    return (
        f"{case.code.hex(' ')} ({case.row.mnemonic}, F={case.flags:02x}, BC={case.bc:04x}): "
        f"expected {case.cycles} T to {case.goes_to}, got {cycles} T to {result.pc}, "
        f"{result.reason}"
    )


def test_every_instruction(cpu: Z80, tried: Tried) -> None:
    cases = all_cases()
    wrong = [line for case in cases if (line := timed(cpu, case))]
    undocumented = {case.code for case in cases if not case.row.documented}
    tried("Z80 instructions, their T-states and next pc", "z80", len(cases), wrong)
    for group, count in Counter(case.group for case in cases).items():
        tried(f"Z80   of these, prefix {group or 'none'}", "z80", count, [])
    tried("Z80   of these, undocumented", "z80", len(undocumented), [])


def refreshed(cpu: Z80, case: Case) -> str:
    """Count the M1 cycles of one case by R; give what is wrong, or nothing.

    A repeat has a second round, without a prefix that has no effect: PC goes back by 2.
    """
    load(cpu, case)
    again = 2 if case.taken and case.goes_to == HERE + case.row.size - 2 else 0
    before = sum(row.m1 for row in steps(prologue(case)))
    expected = (before + case.row.m1 + again + 2) % 128
    result = cpu.call(CODE, limit=10_000, stack=STACK, stack_floor=FLOOR)
    got = cpu.read(RESULT, 1)[0] & 0x7F
    if result.reason is StopReason.HALT and got == expected:
        return ""
    return f"{case.code.hex(' ')} ({case.row.mnemonic}): expected R={expected}, got {got}"


def test_m1_cycles(cpu: Z80, tried: Tried) -> None:
    """But for HALT, which stays, LD R,A, which sets R, and returns to the caller."""
    cases = [
        case
        for case in all_cases()
        if case.goes_to is not None
        and case.row.mnemonic != "halt"
        and case.code[-2:] != b"\xed\x4f"
    ]
    wrong = [line for case in cases if (line := refreshed(cpu, case))]
    tried("Z80 instructions, their M1 cycles", "z80", len(cases), wrong)


REPEATS = {
    **{"ldir": b"\xed\xb0", "cpir": b"\xed\xb1", "inir": b"\xed\xb2", "otir": b"\xed\xb3"},
    **{"lddr": b"\xed\xb8", "cpdr": b"\xed\xb9", "indr": b"\xed\xba", "otdr": b"\xed\xbb"},
}
COUNTS = [*range(1, 20), 127, 128, 255, 256]


def test_repeats(cpu: Z80, tried: Tried) -> None:
    """21 T for each round but the last one, of 16 T."""
    wrong, count = [], 0
    for name, code in REPEATS.items():
        by_b = name[0] in "io"
        for rounds in COUNTS if by_b else [*COUNTS, 1000, 3000]:
            bc = rounds % 256 << 8 if by_b else rounds
            row, _ = decode(code)
            case = Case("ED", code, row, taken=True, goes_to=HERE, bc=bc, hl=DATA + 0xC00)
            before = load(cpu, case)
            cpu.load([(CODE, prologue(case) + code + RET)])
            result = cpu.call(CODE, limit=1_000_000, stack=STACK, stack_floor=FLOOR)
            expected = before + 21 * (rounds - 1) + 16 + 10
            if result.cycles != expected or result.reason is not StopReason.RETURNED:
                wrong.append(f"{name} of {rounds}: expected {expected} T, got {result.cycles}")
            count += 1
    tried("Z80 repeats, with counts", "z80", count, wrong)


# ---- the two tables ----------------------------------------------------------------------------

OPERANDS = {
    **{"(xy+d)": ["(ix+5)", "(iy-3)"], "n": ["7"], "(n)": ["(7)"], "nn": ["0x1234"]},
    **{"(nn)": ["(0x1234)"], "rel": ["$+7"], "bit": ["0", "5", "7"], "mode": ["0", "1", "2"]},
    "vector": ["0", "0x38"],
}


def samples(dice: random.Random, form: Form) -> Iterator[str]:
    """Yield some legal instructions of a form of the compiler's table."""
    for _ in range(12):
        operands = []
        for spec in form.operands:
            kind = ISA.operand(spec)
            names = list(kind.names) if isinstance(kind, Names) else OPERANDS[spec]
            operands.append(dice.choice(names))
        line = f"{form.mnemonic} {','.join(operands)}"
        try:
            Assembly(ISA).emit(line)
        except AsmError:
            continue
        yield line


def test_the_compilers_table_agrees(tmp_path: Path, tried: Tried) -> None:
    """Samples of each of its forms, assembled and looked up in this folder's table."""
    dice = random.Random(5)
    lines = [(line, form) for form in ISA.forms for line in samples(dice, form)]
    assert {form for _, form in lines} == set(ISA.forms)
    (tmp_path / "a.s").write_text("".join(f"{line}\n" for line, _ in lines))
    for command in (
        ["as", "-march=z80+full", "--fatal-warnings", "-o", "a.o", "a.s"],
        ["objcopy", "-O", "binary", "-j", ".text", "a.o", "a.bin"],
    ):
        subprocess.run([f"z80-unknown-coff-{command[0]}", *command[1:]], cwd=tmp_path, check=True)
    code = (tmp_path / "a.bin").read_bytes()
    wrong = []
    for line, form in lines:
        row, _ = decode(code)
        here = (row.size, "/".join(str(n) for n in dict.fromkeys(row.cycles)))
        if here != (form.size, form.timing):
            wrong.append(f"{line}: {here}, but the compiler has {form.size}, {form.timing}")
        code = code[form.size :]
    assert not code
    tried("Z80 lines, this table and the compiler's", "tables", len(lines), wrong)
