"""The Z80's table against the emulator: T-states, and the registers and flags it touches."""

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import z80
from test_isa_samples import legal, lines

from kernels.asm import Assembly
from kernels.isa import Form, Instruction
from kernels.z80.isa import Z80

CODE = 0x8000
# In the machine's state view.
TICKS, PREFIX, RAM = slice(20, 24), 43, 44
FLAGS = {"C": 0x01, "N": 0x02, "P": 0x04, "H": 0x10, "Z": 0x40, "S": 0x80}
MEMORY = random.Random(2).randbytes(0x10000)
BYTES = ("a", "b", "c", "d", "e", "h", "l", "ixh", "ixl", "iyh", "iyl", "i")
SHADOWS = {"af'": "alt_af", "bc'": "alt_bc", "de'": "alt_de", "hl'": "alt_hl"}
Codes = dict[Form, list[tuple[Instruction, bytes]]]

FORMS = [form for form in Z80.forms if form.mnemonic not in {"halt", "reti", "retn"}]


@dataclass
class Outcome:
    """What one step left behind; `outside` is everything that is not a register."""

    registers: dict[str, int]
    outside: tuple[object, ...]
    cycles: int
    taken: bool


class Machine:
    """Executes single instructions from a given state."""

    def __init__(self) -> None:
        self.z80 = z80.Z80Machine()
        self.state = self.z80.get_state_view()
        self.ports: list[tuple[int, int]] = []
        self.z80.set_output_callback(lambda port, value: self.ports.append((port, value)))
        self.z80.set_input_callback(lambda port: (port * 31 >> 4) & 0xFF)

    def step(self, code: bytes, registers: dict[str, int], memory: bytes) -> Outcome:
        """Execute the instruction at CODE; registers and flags by the names the table uses."""
        self.ports.clear()
        self.state[RAM : RAM + 0x10000] = memory
        self.state[RAM + CODE : RAM + CODE + len(code)] = code
        for name, value in registers.items():
            if name not in FLAGS:
                setattr(self.z80, SHADOWS.get(name, name), value)
        self.z80.f = sum(bit for flag, bit in FLAGS.items() if registers[flag])
        self.z80.pc = CODE
        self.state[TICKS] = bytes(4)
        self.z80.step_over_breakpoint()
        while self.state[PREFIX]:
            self.z80.step_over_breakpoint()
        after = {
            name: getattr(self.z80, SHADOWS.get(name, name))
            for name in registers
            if name not in FLAGS
        }
        after |= {flag: int(self.z80.f & bit > 0) for flag, bit in FLAGS.items()}
        pc = self.z80.pc
        outside = (pc, bytes(self.state[RAM : RAM + 0x10000]), tuple(self.ports))
        cycles = int.from_bytes(self.state[TICKS], "little")
        return Outcome(after, outside, cycles, taken=pc != CODE + len(code))


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine()


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Codes:
    """Up to 24 samples of each form with their machine code, spread over all its operands."""
    folder: Path = tmp_path_factory.mktemp("z80")
    out = Assembly(Z80)
    samples: list[Instruction] = []
    for form in FORMS:
        legal_lines = [line for line in lines(Z80, form) if legal(Z80, frozenset(), line)]
        chosen = random.Random(1).sample(legal_lines, min(24, len(legal_lines)))
        samples += [out.emit(line).instructions[0] for line in chosen]
    (folder / "a.s").write_text(out.text())
    prefix = "z80-unknown-coff"
    for command in (
        [f"{prefix}-as", "-march=z80+full", "--fatal-warnings", "-o", "a.o", "a.s"],
        [f"{prefix}-objcopy", "-O", "binary", "-j", ".text", "a.o", "a.bin"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    data = (folder / "a.bin").read_bytes()
    found: Codes = {form: [] for form in FORMS}
    for instruction in samples:
        size = instruction.form.size
        found[instruction.form].append((instruction, data[:size]))
        data = data[size:]
    return found


def random_state(dice: random.Random) -> dict[str, int]:
    """Return registers and flags at random; counters end, and flags differ, often enough."""
    state = {name: dice.choice([0, 1, 255, dice.randrange(256)]) for name in BYTES}
    state |= {flag: dice.randrange(2) for flag in FLAGS}
    state |= {name: dice.randrange(0x10000) for name in SHADOWS}
    return state | {"sp": dice.randrange(0x4000, 0x5000), "r": dice.randrange(128)}


def runs(machine: Machine, code: bytes, count: int = 64) -> list[tuple[dict[str, int], Outcome]]:
    """Run an instruction from many states, all over the same random memory."""
    dice = random.Random(1)
    states = [random_state(dice) for _ in range(count)]
    return [(state, machine.step(code, state, MEMORY)) for state in states]


@pytest.mark.parametrize("form", FORMS, ids=Z80.describe)
def test_cycles(form: Form, machine: Machine, codes: Codes) -> None:
    seen = set()
    for instruction, code in codes[form]:
        for _, outcome in runs(machine, code):
            taken = outcome.taken and form.taken is not None
            assert outcome.cycles == (form.taken if taken else form.cycles), instruction.text
            seen.add(taken)
    assert seen == ({False, True} if form.taken is not None else {False})


@pytest.mark.parametrize("form", FORMS, ids=Z80.describe)
def test_writes(form: Form, machine: Machine, codes: Codes) -> None:
    """What changes is what `writes` names, but for R, which every fetch counts up."""
    ever, named = set(), set()
    for instruction, code in codes[form]:
        changed = {
            name
            for before, outcome in runs(machine, code)
            for name in before
            if before[name] != outcome.registers[name]
        }
        assert changed - {"r"} <= instruction.writes, instruction.text
        ever |= changed
        named |= instruction.writes
    assert ever >= named


@pytest.mark.parametrize("form", FORMS, ids=Z80.describe)
def test_reads(form: Form, machine: Machine, codes: Codes) -> None:
    """The outcome depends on nothing but what `reads` names, and on all of that."""
    dice = random.Random(3)
    ever, named = set(), set()
    for instruction, code in codes[form]:
        named |= instruction.reads
        for before, outcome in runs(machine, code, 16):
            other = random_state(dice)
            unread = before | {name: other[name] for name in before.keys() - instruction.reads}
            assert matters(instruction, outcome, machine.step(code, unread, MEMORY)) is False
            for name in instruction.reads - ever:
                changed = machine.step(code, before | {name: other[name]}, MEMORY)
                if matters(instruction, outcome, changed):
                    ever.add(name)
    assert ever == named


def matters(instruction: Instruction, one: Outcome, other: Outcome) -> bool:
    """Tell whether two outcomes differ in what the instruction writes."""
    return (one.outside, one.cycles) != (other.outside, other.cycles) or any(
        one.registers[name] != other.registers[name] for name in instruction.writes
    )
