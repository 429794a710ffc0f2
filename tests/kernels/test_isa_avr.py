"""The AVR's table against simavr: cycles on each device, and the registers and flags it touches."""

import random
import subprocess
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
from test_isa_samples import DEVICES, legal, samples

from emulators import simavr
from kernels.asm import Assembly
from kernels.avr.isa import AVR
from kernels.isa import Form, Instruction

EMULATED = ("attiny85", "atmega328p", "atmega1284p", "atmega2560")
REGISTERS = [f"r{n}" for n in range(32)]
FLAGS = "CZNVSHTI"
PORT, STATE, SAVED, FREE, STACK = 0x1E, 0x200, 0x224, 0x24C, 0x25F
SIZE = 34  # bytes of state: registers, flags, the port
FLASH = (0x400, random.Random(1).randbytes(0x400))

RANDOM = random.Random(2).randbytes(0x800)

# Load the state, execute the instruction, save the state. Neither LDS nor STS touches flags.
BEFORE = f"""
lds r16, {STATE + 32}
out 0x3f, r16
lds r16, {STATE + 33}
out {PORT}, r16
""" + "".join(f"lds r{n}, {STATE + n}\n" for n in range(32))
AFTER = (
    "".join(f"sts {SAVED + n}, r{n}\n" for n in range(32))
    + f"in r16, 0x3f\nsts {SAVED + 32}, r16\nin r16, {PORT}\nsts {SAVED + 33}, r16\nbreak"
)
ONE_WORD, TWO_WORDS = "nop", f"sts {SAVED}, r0"  # what a skip may skip
HERE = Assembly(AVR, AVR.features).emit(BEFORE).size
OPERANDS = {
    "k7": [".+2"],
    "k12": [".+2"],
    "k16": [str(FREE)],
    "k22": [str(HERE + 4 + 2)],
    "A5": [str(PORT)],
    "A6": [str(PORT), "0x3f"],
}
STOPPING = {"break", "sleep", "spm"}
LEAVING = {"ret", "reti", "ijmp", "icall", "eijmp", "eicall"}  # whose targets are not samples
FORMS = [form for form in AVR.forms if form.mnemonic not in STOPPING]


@dataclass
class Outcome:
    """What one instruction left behind; `outside` is everything that is not a register."""

    registers: dict[str, int]
    outside: tuple[object, ...]
    cycles: int
    taken: bool


class Machine:
    """Executes single instructions from a given state."""

    def __init__(self, device: str, parts: dict[str, bytes]) -> None:
        self.emulator = simavr.SimAvr(device)
        self.parts = parts
        self.small = device == "attiny85"
        self.code = b""

    def random_state(self, dice: random.Random) -> dict[str, int]:
        """Return registers and flags at random, with X, Y and Z in RAM that is free."""
        state = {name: dice.choice([0, 255, dice.randrange(256)]) for name in REGISTERS}
        for low in (26, 28, 30):
            state[f"r{low}"] = dice.randrange(0x20 if self.small else 0x100)
            state[f"r{low + 1}"] = 2 if self.small else dice.randrange(4, 8)
        return state | {flag: dice.randrange(2) for flag in FLAGS} | {"port": dice.randrange(256)}

    def step(self, code: bytes, size: int, state: dict[str, int]) -> Outcome:
        """Execute the instruction, of `size` bytes, at the head of `code`."""
        if code != self.code:
            program = self.parts[BEFORE] + code + self.parts[AFTER]
            self.emulator.load([(0, program), FLASH])
            self.code = code
        flags = sum(state[flag] << n for n, flag in enumerate(FLAGS))
        values = [*(state[name] for name in REGISTERS), flags, state["port"]]
        ram = self.emulator.ram
        self.emulator.write(ram.start, RANDOM[: len(ram)])
        self.emulator.write(STATE, bytes(values))
        after = HERE + len(code)
        marks = [HERE, HERE + size, after]
        result = self.emulator.call(0, limit=1000, stack=STACK, stack_floor=FREE, marks=marks)
        here, *later = result.marks
        end = later[0].cycle if later else result.cycles
        saved = self.emulator.read(SAVED, SIZE)
        registers = dict(zip(REGISTERS, saved, strict=False))
        registers |= {flag: saved[32] >> n & 1 for n, flag in enumerate(FLAGS)}
        memory = self.emulator.read(ram.start, STATE - ram.start) if ram.start < STATE else b""
        memory += self.emulator.read(FREE, min(0x600, ram.stop - FREE))
        taken = not later or later[0].pc == after
        return Outcome(registers, (memory, saved[33], taken), end - here.cycle, taken)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Machine code of everything that the tests execute, by its text."""
    folder: Path = tmp_path_factory.mktemp("avr")
    out = Assembly(AVR, AVR.features)
    texts = [BEFORE, AFTER, ONE_WORD, TWO_WORDS, *(line for form in FORMS for line in chosen(form))]
    sizes = [out.emit(text).size for text in texts]
    (folder / "a.s").write_text(out.text())
    for command in (
        ["avr-as", "-mmcu=atmega2560", "-o", "a.o", "a.s"],
        ["avr-ld", "-m", "avr6", "-Ttext", "0", "-e", "0", "-o", "a.out", "a.o"],
        ["avr-objcopy", "-O", "binary", "-j", ".text", "a.out", "a.bin"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    data = (folder / "a.bin").read_bytes()
    found = {}
    for text, size in zip(texts, sizes, strict=True):
        found[text], data = data[:size], data[size:]
    return found


def chosen(form: Form) -> list[str]:
    """Return up to 16 lines of a form, spread over all its operands."""
    operands = (OPERANDS.get(spec) or samples(AVR, spec) for spec in form.operands)
    rows = [f"{form.mnemonic} {', '.join(row)}" for row in product(*operands)]
    rows = [row for row in rows if legal(AVR, AVR.features, row)]
    return random.Random(3).sample(rows, min(16, len(rows)))


@pytest.fixture(scope="module")
def machines(parts: dict[str, bytes]) -> dict[str, Machine]:
    return {device: Machine(device, parts) for device in EMULATED}


CASES = [
    (device, form)
    for device, form in product(EMULATED, FORMS)
    if form.feature is None or form.feature in DEVICES[device]
]


@pytest.mark.parametrize(
    ("device", "form"), CASES, ids=[f"{device} {AVR.describe(form)}" for device, form in CASES]
)
def test_cycles(device: str, form: Form, machines: dict[str, Machine]) -> None:
    machine = machines[device]
    dice = random.Random(4)
    seen = set()
    for line in chosen(form):
        here = Assembly(AVR, DEVICES[device]).emit(line).instructions[0].form
        timings = {ONE_WORD: here.taken} | ({TWO_WORDS: here.taken_long} if here.taken_long else {})
        for slot, taken in timings.items():
            code = machine.parts[line] + machine.parts[slot]
            for _ in range(6):
                state = machine.random_state(dice)
                if form.mnemonic in LEAVING:
                    state |= {"r30": (HERE + len(code)) // 2, "r31": 0}
                outcome = machine.step(code, form.size, state)
                skips = here.taken is not None and outcome.taken
                assert outcome.cycles == (taken if skips else here.cycles), (line, slot)
                seen.add(skips)
    assert seen == ({False, True} if form.taken is not None else {False})


EFFECTIVE = [form for form in FORMS if form.mnemonic not in LEAVING]
UNSEEN = {"sp", "rampz"}  # what the state does not hold


@pytest.mark.parametrize("form", EFFECTIVE, ids=AVR.describe)
def test_reads_and_writes(form: Form, machines: dict[str, Machine]) -> None:
    """What changes is what `writes` names; the outcome depends on what `reads` names, no more."""
    machine = machines["atmega2560" if form.feature in {"ELPM", "PC22"} else "atmega328p"]
    dice = random.Random(5)
    read, written = set(), set()
    for line in chosen(form):
        instruction = Assembly(AVR, AVR.features).emit(line).instructions[0]
        code = machine.parts[line] + machine.parts[ONE_WORD]
        for _ in range(12):
            before, other = machine.random_state(dice), machine.random_state(dice)
            outcome = machine.step(code, form.size, before)
            changed = {name for name, value in outcome.registers.items() if value != before[name]}
            assert changed <= instruction.writes, line
            written |= {role(instruction, name) for name in changed}
            keep = instruction.reads | {"port"}
            unread = before | {name: other[name] for name in before.keys() - keep}
            assert not differ(instruction, outcome, machine.step(code, form.size, unread)), line
            for name in instruction.reads - UNSEEN:
                changed_state = before | {name: other[name]}
                if differ(instruction, outcome, machine.step(code, form.size, changed_state)):
                    read.add(role(instruction, name))
    assert read >= named(form.reads)
    assert written >= named(form.writes)


def role(instruction: Instruction, name: str) -> str:
    """Return the operand of the form by which a register is named, or else its own name."""
    for spec, text in zip(instruction.form.operands, instruction.operands, strict=True):
        if name in AVR.operand(spec).check(text, AVR):
            return spec
    return name


def named(template: tuple[str, ...]) -> set[str]:
    """Return the operands, registers and flags of a form's reads or writes."""
    known = AVR.operands.keys() | AVR.registers.keys() | {"Rh'", "Rm'", "Rp'"}
    tokens = [{token} if token in known else set(token) for token in template]
    return set().union(*tokens) - UNSEEN


def differ(instruction: Instruction, one: Outcome, other: Outcome) -> bool:
    """Tell whether two outcomes differ in what the instruction writes."""
    return (one.outside, one.cycles) != (other.outside, other.cycles) or any(
        one.registers[name] != other.registers[name] for name in instruction.writes - UNSEEN
    )
