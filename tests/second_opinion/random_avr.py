"""Pieces of random AVR code; see `random_code`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from kernels.avr.isa import AVR
from kernels.isa import Form
from kernels.target import Target

ISA = AVR
LEFT_OUT: Mapping[str, str] = {
    "cbi": "a known fault of avr8js: cycles",
    "neg": "a known fault of avr8js: V",
    "fmulsu": "a known fault of avr8js: Z",
    "brhs": "a known fault of avr8js: H",
    "brhc": "a known fault of avr8js: H",
    **dict.fromkeys(("sei", "reti", "brie", "brid"), "interrupts"),
    **dict.fromkeys(("sleep", "break", "spm", "wdr"), "ends or alters the run"),
}

DATA, TRACE = range(0x200, 0x500), range(0x500, 0x800)  # what code may touch; flags on the way
POINTERS = DATA[64:-64]
REGISTERS, FLAGS, RAMPZ = 0x800, 0x820, 0x821  # where they are in the end
PORTS = (0x1E, 0x2A, 0x2B)  # general-purpose registers, which no device listens to

OPERANDS: Mapping[str, Callable[[Random], str]] = {
    "k7": lambda _: "NEXT",
    "k12": lambda _: "NEXT",
    "k22": lambda _: "NEXT",
    "k16": lambda rng: str(rng.choice(DATA)),
    "A5": lambda _: str(PORTS[0]),
    "A6": lambda rng: str(rng.choice(PORTS)),
    "s": lambda rng: rng.choice("012346"),  # neither H nor I
    "P+q": lambda rng: f"{rng.choice('YZ')}+{rng.randrange(64)}",
}


def piece(form: Form, operands: list[str], rng: Random, target: Target) -> str:
    """The instruction with what must come before and after it."""
    leaving = _leaving(form.mnemonic, rng)
    if leaving:
        return leaving
    match form.mnemonic:
        case "cpse" | "sbrc" | "sbrs" | "sbic" | "sbis":
            return f"{form.mnemonic} {', '.join(operands)}\n{_filler(rng)}"
        case "lpm" | "elpm":
            before = _code_pointer(form.mnemonic, rng, target)
        case "ld" | "ldd" | "st" | "std":
            before = "".join(_load_pair(low, rng.choice(POINTERS)) for low in (26, 28, 30))
        case "sbc" | "sbci" | "cpc":  # a known fault of avr8js where Z and C are set
            before = rng.choice(("clz\n", "clc\n"))
        case _:
            before = ""
    after = f"\n{_filler(rng)}\nNEXT:" if "NEXT" in operands else ""
    return f"{before}{form.mnemonic} {', '.join(operands)}{after}"


def _leaving(mnemonic: str, rng: Random) -> str:
    """A call, a computed jump or something on the stack; nothing for other instructions."""
    match mnemonic:
        case "push" | "pop":
            return f"push r{rng.randrange(32)}\npop r{rng.randrange(32)}"
        case "call" | "rcall":
            return f"{mnemonic} subroutine"
        case "ret":
            return "rcall subroutine"
        case "icall" | "eicall":
            return f"{_load_z('pm', 'subroutine')}{mnemonic}"
        case "ijmp" | "eijmp":
            return f"{_load_z('pm', 'NEXT')}{mnemonic}\n{_filler(rng)}\nNEXT:"
    return ""


def _load_pair(low: int, value: int) -> str:
    return f"ldi r{low}, {value & 0xFF}\nldi r{low + 1}, {value >> 8}\n"


def _load_z(function: str, label: str) -> str:
    return f"ldi r30, {function}_lo8({label})\nldi r31, {function}_hi8({label})\n"


def _code_pointer(mnemonic: str, rng: Random, target: Target) -> str:
    """Z within flash; with RAMPZ, at times at the end of 64 KiB, but not of flash (see faults)."""
    if "ELPM" not in target.features:
        return _load_pair(30, rng.randrange(0x8000))
    page = rng.randrange(4)
    last = mnemonic == "elpm" and page < 3 and rng.random() < 0.3
    z = 0xFFFF if last else rng.randrange(0xFFFF)
    return f"ldi r30, {page}\nout 0x3b, r30\n{_load_pair(30, z)}"


def _filler(rng: Random) -> str:
    """What is skipped, or not: a word or two. ADIW is what simavr 1.6 by itself skips wrongly."""
    register = rng.randrange(32)
    choices = (
        f"inc r{register}",
        f"adiw r24, {rng.randrange(64)}",
        f"sts {rng.choice(DATA)}, r{register}",
        f"lds r{register}, {rng.choice(DATA)}",
    )
    return rng.choice(choices)


def trace(number: int) -> str:
    """All flags but H."""
    return f"in r16, 0x3f\nandi r16, 0xdf\nsts {TRACE[number]}, r16"


def frame(body: str, target: Target) -> str:
    """All registers but SP; of the flags neither I nor, at the end, H."""
    loads = "\n".join(f"lds r{n}, {DATA[n]}" for n in range(32))
    stores = "\n".join(f"sts {REGISTERS + n}, r{n}" for n in range(32))
    rampz = f"in r16, 0x3b\nsts {RAMPZ}, r16" if "ELPM" in target.features else ""
    return f"""
        lds r16, {FLAGS}
        andi r16, 0x7f
        out 0x3f, r16
        {loads}
        {body}
        {stores}
        in r16, 0x3f
        andi r16, 0xdf
        sts {FLAGS}, r16
        {rampz}
    subroutine:
        ret
    """
