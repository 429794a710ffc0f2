"""AVR: the cycles of every opcode value on four devices, every skip, calls and interrupts.

Each opcode executes alone: a call ends at a limit one cycle after what prepares the state, so its
cycles and the address that comes next are seen exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pytest
from avr_table import DEVICES, ROWS, Device, Row, cost, encode, legal, to_bytes

from emulators.base import CallResult, StopReason
from emulators.simavr import SimAvr
from kernels.avr.isa import AVR

RET = encode("ret")
NOP = encode("nop")
NOTHING: tuple[int, ...] = ()
SREG, PORT = 0x3F, 0x1E  # a port that is plain memory on all four devices
Tried = Callable[[str, str, int, list[str]], None]

device_each = pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)


@dataclass(frozen=True, slots=True)
class Case:
    """One instruction, what prepares its state and what must come of it.

    words: the instruction and what follows it. goes: words from the instruction to the next one;
    `to`: instead, the word address of the next one.
    """

    prologue: tuple[int, ...]
    words: tuple[int, ...]
    cycles: int
    goes: int = 1
    to: int | None = None
    reason: StopReason = StopReason.CYCLE_LIMIT

    def __str__(self) -> str:
        shown = " ".join(f"{word:04x}" for word in self.words)
        return f"{shown} after {' '.join(f'{word:04x}' for word in self.prologue) or 'nothing'}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an instruction did: why the call ended, its cycles, the next word address."""

    reason: StopReason
    cycles: int
    next_word: int


def execute(device: Device, cases: list[Case]) -> Iterator[tuple[Case, int, Seen]]:
    """Yield each case with the word address it was placed at and what it did.

    Jumps back are placed in the upper half of flash, so that all land in it.
    """
    emulator = SimAvr(device.name)
    half = device.flash_size // 4
    for base, group in (
        (0, [case for case in cases if case.goes >= 0]),
        (half, [case for case in cases if case.goes < 0]),
    ):
        while group:
            image = [NOP] * (device.flash_size // 2)
            placed: list[tuple[Case, int]] = []
            here = base
            while group and here + len(group[-1].prologue) + len(group[-1].words) < base + half:
                case = group.pop()
                words = (*case.prologue, *case.words, NOP)
                image[here : here + len(words)] = words
                placed.append((case, here))
                here += len(words)
            emulator.load([(0, to_bytes(image))])
            for case, start in placed:
                before = sum(cost(device, opcode) for opcode in case.prologue)
                result = step(emulator, device, 2 * start, before + 1)
                seen = Seen(result.reason, result.cycles - before, result.pc // 2)
                yield case, start + len(case.prologue), seen


def step(emulator: SimAvr, device: Device, address: int, limit: int) -> CallResult:
    return emulator.call(address, limit=limit, stack=device.stack, stack_floor=device.stack_floor)


def check(device: Device, cases: list[Case]) -> list[str]:
    """Execute the cases; give a line for each that went wrong."""
    wrong = []
    for case, here, seen in execute(device, cases):
        next_word = here + case.goes if case.to is None else case.to
        if case.reason in (StopReason.SLEEP, StopReason.BREAK, StopReason.OUTSIDE_CODE):
            next_word = here
        expected = Seen(case.reason, case.cycles, next_word)
        if seen != expected:
            wrong.append(f"{case} at word {here:#x}: expected {expected}, got {seen}")
    return wrong


def load(register: int, value: int) -> tuple[int, ...]:
    """Give what loads a register by way of another, or itself; one cycle each."""
    high = register if register >= 16 else 16
    first = encode("ldi", d=high - 16, K=value)
    return (first,) if register == high else (first, encode("mov", d=register, r=high))


def pointers(address: int) -> tuple[int, ...]:
    """Give what points X, Y and Z to an address."""
    halves = (address & 0xFF, address >> 8) * 3
    return tuple(encode("ldi", d=10 + n, K=half) for n, half in enumerate(halves))


# ---- what each kind of instruction does ----------------------------------------------------


def signed(value: int, bits: int) -> int:
    return value - (value >> bits - 1 << bits)


def branch(device: Device, opcode: int, row: Row) -> Iterator[Case]:
    """Yield a branch with its flag clear and set."""
    untaken, taken = row.cycles(device)
    goes = 1 + signed(row.fields(opcode)["k"], 7)
    for flag in (0, 1):
        flags = (*load(16, 0xFF * flag), encode("out", A=SREG, d=16))
        if flag == (row.mnemonic == "brbs"):
            yield Case(flags, (opcode,), taken, goes)
        else:
            yield Case(flags, (opcode,), untaken)


def skip(device: Device, opcode: int, row: Row) -> Iterator[Case]:
    """Yield a skip that skips one word, two words, and nothing."""
    fields = row.fields(opcode)
    if row.mnemonic == "cpse":
        rising = fields["r"] != fields["d"]
        other = (
            load(fields["r"], 0xFF)
            if fields["d"] != 16
            else (encode("ldi", d=1, K=0xFF), encode("mov", d=fields["r"], r=17))
        )
        yes, no = NOTHING, other if rising else None
    else:
        ones = load(fields["d"], 0xFF)
        yes, no = (NOTHING, ones) if row.mnemonic == "sbrc" else (ones, NOTHING)
    yield from skip_ways(device, opcode, row, yes, no)


def skip_ways(
    device: Device,
    opcode: int,
    row: Row,
    yes: tuple[int, ...] | None,
    no: tuple[int, ...] | None,
) -> Iterator[Case]:
    """Yield a skip after what makes it skip (over one and two words), and what does not."""
    untaken, short, long = row.cycles(device)
    two_words = (encode("lds", d=0), device.middle)
    if yes is not None:
        yield Case(yes, (opcode, NOP), short, 2)
        yield Case(yes, (opcode, *two_words), long, 3)
    if no is not None:
        yield Case(no, (opcode, NOP), untaken)
        yield Case(no, (opcode, *two_words), untaken)


def jump(device: Device, opcode: int, row: Row) -> Case:
    """Give a jump or call to an absolute address; past flash, where its operand reaches there."""
    low = 0x10
    target = row.fields(opcode)["k"] << 16 | low
    outside = target >= device.flash_size // 2
    reason = StopReason.OUTSIDE_CODE if outside else StopReason.CYCLE_LIMIT
    return Case((), (opcode, low), row.cost(device), to=target, reason=reason)


def ordinary(device: Device, opcode: int, row: Row) -> Case:
    """Give an instruction that goes on to the next one."""
    operands = (device.middle,) if row.words == 2 else ()
    prologue = pointers(device.middle)
    if row.mnemonic == "out":  # writes what is there already
        fields = row.fields(opcode)
        prologue = (encode("in", d=fields["d"], A=fields["A"]),)
    return Case(prologue, (opcode, *operands), row.cost(device), goes=row.words)


def cases_of(device: Device, opcode: int, row: Row) -> Iterator[Case]:
    """Yield all cases of an opcode value."""
    match row.mnemonic:
        case "brbs" | "brbc":
            yield from branch(device, opcode, row)
        case "cpse" | "sbrc" | "sbrs":
            yield from skip(device, opcode, row)
        case "sbic" | "sbis":  # see test_skips_of_io_bits
            return
        case "rjmp" | "rcall":
            goes = 1 + signed(row.fields(opcode)["k"], 12)
            yield Case((), (opcode,), row.cost(device), goes=goes)
        case "jmp" | "call":
            yield jump(device, opcode, row)
        case "ijmp" | "icall" | "eijmp" | "eicall":
            to = device.middle
            yield Case(pointers(to), (opcode,), row.cost(device), to=to)
        case "ret" | "reti":
            to = (0x1FFFFFE if device.pc_bytes == 3 else 0x1FFFE) // 2
            yield Case((), (opcode,), row.cost(device), to=to, reason=StopReason.RETURNED)
        case "sleep":
            yield Case((), (opcode,), row.cost(device), reason=StopReason.SLEEP)
        case "break":  # ends a call before it is executed
            yield Case((), (opcode,), 0, reason=StopReason.BREAK)
        case _:
            yield ordinary(device, opcode, row)


# ---- the tests -------------------------------------------------------------------------------


@device_each
def test_every_opcode_value(device: Device, tried: Tried) -> None:
    opcodes = [
        (opcode, row) for opcode, row in legal(device) if row.mnemonic not in {"sbic", "sbis"}
    ]
    cases = [list(cases_of(device, opcode, row)) for opcode, row in opcodes]
    assert all(cases)
    flat = list(chain.from_iterable(cases))
    rows = [row for _, row in opcodes]
    branches = sum(row.mnemonic in {"brbs", "brbc"} for row in rows)
    skips = sum(
        len(each) for each, row in zip(cases, rows, strict=True) if row.timing[0].count("/") == 2
    )
    wrong = check(device, flat)
    tried("AVR opcode values, their cycles and next pc", device.name, len(opcodes), wrong)
    tried("AVR branches, not taken and taken", device.name, 2 * branches, [])
    tried("AVR skips, over nothing, 1 word, 2 words", device.name, skips, [])


@device_each
def test_skips_of_io_bits(device: Device, tried: Tried) -> None:
    """Of SBIC and SBIS of a bit, in the same state, just one skips, whatever the bit is.

    Where the bit is memory, each is made to skip, and not to.
    """
    skips = [(op, row) for op, row in legal(device) if row.mnemonic in {"sbic", "sbis"}]
    wrong, count = [], 0
    for opcode, row in skips:
        fields = row.fields(opcode)
        if fields["A"] == PORT:
            clear, set_ = ((encode(name, **fields),) for name in ("cbi", "sbi"))
            yes, no = (clear, set_) if row.mnemonic == "sbic" else (set_, clear)
            cases = list(skip_ways(device, opcode, row, yes, no))
            wrong += check(device, cases)
            count += len(cases)
    any_bit = [
        Case((), (opcode, *following), 0)
        for following in ((NOP,), (encode("lds", d=0), device.middle))
        for opcode, _ in skips
    ]
    found: dict[tuple[int, ...], set[tuple[int, int]]] = {}
    for case, here, seen in execute(device, any_bit):
        bit = (case.words[0] & ~0x0200, *case.words[1:])
        found.setdefault(bit, set()).add((seen.cycles, seen.next_word - here))
    for bit, ways in found.items():
        if ways != {(1, 1), (len(bit), len(bit))}:
            wrong.append(f"sbic and sbis of {bit}: (cycles, words) {ways}")
    tried("AVR opcode values, their cycles and next pc", device.name, len(skips), wrong)
    tried("AVR skips, over nothing, 1 word, 2 words", device.name, count + len(any_bit), [])


SKIPS = {
    "cpse": encode("cpse", d=0, r=0),
    "sbrc": encode("sbrc", d=0, b=0),
    "sbrs": encode("sbrs", d=16, b=7),
    "sbic": encode("sbic", A=PORT, b=0),
    "sbis": encode("sbis", A=PORT, b=7),
}
ALWAYS = (encode("ldi", d=0, K=0x80), encode("out", A=PORT, d=16))  # makes each of them skip


@device_each
@pytest.mark.parametrize("mnemonic", SKIPS)
def test_skips_over_every_opcode_value(device: Device, mnemonic: str, tried: Tried) -> None:
    """Programs of nothing but skips and what they skip; only the skips may be executed."""
    emulator = SimAvr(device.name)
    opcodes = list(legal(device))
    room = device.flash_size // 2 - len(ALWAYS) - 1
    wrong, done = [], 0
    while done < len(opcodes):
        words, pcs, cycles = [*ALWAYS], [0, 1], [1, 1]
        first = done
        while done < len(opcodes) and len(words) + 3 <= room:
            opcode, row = opcodes[done]
            pcs.append(len(words))
            cycles.append(1 + row.words)
            words += (SKIPS[mnemonic], opcode, *[NOP] * (row.words - 1))
            done += 1
        pcs.append(len(words))
        cycles.append(cost(device, RET))
        emulator.load([(0, to_bytes([*words, RET]))])
        wrong += straight(emulator, device, pcs, cycles, opcodes[first:done])
    tried("AVR skips, over every opcode value", device.name, len(opcodes), wrong)


def straight(
    emulator: SimAvr,
    device: Device,
    pcs: list[int],
    cycles: list[int],
    opcodes: list[tuple[int, Row]],
) -> list[str]:
    """Run a program that executes each of `pcs` (words) once; tell what was not as expected."""
    result = emulator.call(
        0,
        limit=1_000_000,
        stack=device.stack,
        stack_floor=device.stack_floor,
        profile=True,
    )
    profile = result.profile
    assert profile is not None
    if (
        result.reason is StopReason.RETURNED
        and np.array_equal(profile.pcs, 2 * np.array(pcs))
        and np.array_equal(profile.cycles, cycles)
        and result.cycles == sum(cycles)
    ):
        return []
    got = {
        pc // 2: taken
        for pc, taken in zip(profile.pcs.tolist(), profile.cycles.tolist(), strict=True)
    }
    lines = [f"{result.reason} after {result.cycles} cycles, not {sum(cycles)}"]
    for (opcode, row), pc, expected in zip(opcodes, pcs[2:], cycles[2:], strict=False):
        extra = [word for word in range(pc + 1, pc + 1 + row.words) if word in got]
        if got.get(pc) != expected or extra:
            lines.append(
                f"skip at word {pc:#x} over {opcode:04x} ({row.mnemonic}): expected {expected} "
                f"cycles, got {got.get(pc)}; executed as well: {extra}"
            )
    return lines


@device_each
def test_interrupt_entry(device: Device, tried: Tried) -> None:
    """Timer 0 overflows among NOPs; its vector holds RETI. 4 cycles, with a 22-bit PC 5."""
    control, counter, enable, bit = device.timer0
    starts = range(150, 250, 5)
    wrong = []
    emulator = SimAvr(device.name)
    for start in starts:
        main = (
            encode("ldi", d=0, K=1 << bit),
            encode("sts", d=16),
            enable,
            encode("ldi", d=0, K=1),
            encode("out", A=control, d=16),
            encode("ldi", d=0, K=start),
            encode("out", A=counter, d=16),
            encode("bset", s=7),
            *[NOP] * 150,
            RET,
        )
        emulator.load([(device.vector, to_bytes([encode("reti")])), (0x100, to_bytes(main))])
        marks = [device.vector, *range(0x100, 0x100 + 2 * len(main), 2)]
        marks.remove(0x104)  # the second word of STS
        result = emulator.call(
            0x100,
            limit=10_000,
            stack=device.stack,
            stack_floor=device.stack_floor,
            marks=marks,
        )
        pcs = [mark.pc for mark in result.marks]
        entry = pcs.index(device.vector) if device.vector in pcs else 1
        interrupted, vector, resumed = result.marks[entry - 1 : entry + 2]
        got = (
            vector.cycle - interrupted.cycle - 1,
            resumed.cycle - vector.cycle,
            resumed.pc - interrupted.pc,
        )
        if got != (2 + device.pc_bytes, cost(device, encode("reti")), 2):
            wrong.append(f"timer from {start}: (entry, reti, bytes on) {got}")
    tried("AVR interrupt entries", device.name, len(starts), wrong)


def test_known_differences_from_hardware(tried: Tried) -> None:
    """Facts of simavr 1.6 that are not mended; a failure here is good news.

    SPM takes 1 cycle even where it erases or writes a page. After SEI, two instructions are
    executed before a pending interrupt is served, where hardware executes one. SLEEP sleeps even
    if SE is clear. Reading EEPROM does not halt the CPU for 4 cycles. A timer that is stopped
    reads 0, where hardware keeps its count.
    """
    device = DEVICES["atmega328p"]
    emulator = SimAvr(device.name)

    def cycles_at(source: list[int], *marks: int) -> list[int]:
        emulator.load([(0x40, to_bytes([encode("reti")])), (0x100, to_bytes(source))])
        result = emulator.call(
            0x100, limit=1000, stack=device.stack, stack_floor=device.stack_floor, marks=marks
        )
        return [mark.cycle for mark in result.marks]

    erase = [
        *(encode("ldi", d=15, K=2), encode("ldi", d=0, K=3), encode("out", A=0x37, d=16)),
        *(encode("spm"), NOP, RET),
    ]
    assert cycles_at(erase, 0x106, 0x108) == [3, 4]
    pending = [
        *(encode("ldi", d=0, K=1), encode("sts", d=16), 0x6E, encode("out", A=0x25, d=16)),
        *(encode("ldi", d=0, K=250), encode("out", A=0x26, d=16), *[NOP] * 10),
        *(encode("bset", s=7), NOP, NOP, NOP, RET),
    ]
    sei = 0x100 + 2 * pending.index(encode("bset", s=7))
    at_sei, at_vector = cycles_at(pending, sei, 0x40)
    assert at_vector - at_sei - 4 == 1 + 2
    assert step_of(emulator, device, [encode("sleep"), RET]).reason is StopReason.SLEEP
    eeprom = [encode("sbi", A=0x1F, b=0), RET]
    assert step_of(emulator, device, eeprom).cycles == 2 + 4
    timer = [
        *(encode("ldi", d=0, K=1), encode("sts", d=16), 0x81, *[NOP] * 20),
        *(encode("sts", d=0), 0x81, encode("lds", d=18), 0x84, encode("sts", d=18), 0x200, RET),
    ]
    assert step_of(emulator, device, timer).reason is StopReason.RETURNED
    assert emulator.read(0x200, 1) == b"\0"
    tried("AVR known differences, asserted", device.name, 5, [])


def step_of(emulator: SimAvr, device: Device, words: list[int]) -> CallResult:
    emulator.load([(0, to_bytes(words))])
    return step(emulator, device, 0, 1000)


# ---- the two tables --------------------------------------------------------------------------

NARROW, WIDE = DEVICES["atmega328p"], DEVICES["atmega2560"]
Entry = tuple[int, tuple[int, ...], tuple[int, ...], str]


def entries_here() -> dict[str, set[Entry]]:
    """Give bytes, cycles with either PC and feature of each mnemonic, by this folder's table."""
    table: dict[str, set[Entry]] = {}
    for row in ROWS.values():
        entry = (2 * row.words, row.cycles(NARROW), row.cycles(WIDE), row.needs)
        table.setdefault(row.mnemonic.split()[0], set()).add(entry)
    return table


def entries_of_compiler(mnemonic: str) -> set[Entry]:
    """Give the same by the compiler's table."""
    forms = AVR.mnemonics[mnemonic]
    timing = {form: tuple(int(n) for n in form.timing.split("/")) for form in forms}
    wide = {form.operands: timing[form] for form in forms if form.feature == "PC22"}
    return {
        (form.size, timing[form], wide.get(form.operands, timing[form]), form.feature or "")
        for form in forms
        if form.feature != "PC22"
    }


def test_the_compilers_table_agrees(tried: Tried) -> None:
    here = entries_here()
    wrong = [
        f"{mnemonic}: {entries}, but the compiler has {entries_of_compiler(mnemonic)}"
        for mnemonic, entries in here.items()
        if entries != entries_of_compiler(mnemonic)
    ]
    aliases = AVR.mnemonics.keys() - here.keys()
    wrong += [
        f"the compiler's {mnemonic} has no counterpart"
        for mnemonic in aliases
        if not any(entries_of_compiler(mnemonic) <= entries for entries in here.values())
    ]
    tried("AVR mnemonics, this table and the compiler's", "tables", len(AVR.mnemonics), wrong)
