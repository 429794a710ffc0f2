"""Pieces of random Z80 code; see `random_code`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from kernels.isa import Form
from kernels.target import Target
from kernels.z80.isa import Z80

ISA = Z80
LEFT_OUT: Mapping[str, str] = {
    **dict.fromkeys(("halt", "ei", "di", "im", "reti", "retn"), "interrupts"),
    **dict.fromkeys(("a,i", "i,a"), "interrupts"),
    **dict.fromkeys(("in", "ini", "ind", "inir", "indr"), "devices"),
    **dict.fromkeys(("out", "outi", "outd", "otir", "otdr"), "devices"),
    **dict.fromkeys(("a,r", "r,a"), "refresh of memory"),
    "rst": "what it calls belongs to CP/M",
}

DATA = range(0xC000, 0xD000)  # what code may touch
POINTERS = DATA[256:-256]
TRACE, SAVED, SAVED_SP = range(0xA000, 0xBF00, 2), 0xBF00, 0xBFFE
PAIRS = ("bc", "de", "hl", "ix", "iy")
CONDITIONS = ("nz", "z", "nc", "c", "po", "pe", "p", "m")
BLOCK = {"ldi", "ldd", "ldir", "lddr", "cpi", "cpd", "cpir", "cpdr"}
POINTING = {"(hl)", "(bc)", "(de)", "(xy+d)"}
FILLERS = ("nop", "inc a", "push bc\npop de", "ld a, (0xc000)")

OPERANDS: Mapping[str, Callable[[Random], str]] = {
    "rel": lambda _: "NEXT",
    "nn": lambda rng: str(rng.choice(DATA)),
    "(nn)": lambda rng: f"({rng.choice(DATA[:-1])})",
    "(xy+d)": lambda rng: f"({rng.choice(('ix', 'iy'))}{rng.randrange(-128, 128):+})",
}


def piece(form: Form, operands: list[str], rng: Random, target: Target) -> str:
    """The instruction with what must come before and after it."""
    del target
    line = f"{form.mnemonic} {', '.join(operands)}"
    pair = rng.choice(PAIRS)
    match form.mnemonic:
        case "jp" | "jr" | "djnz":
            text = _jump(form.mnemonic, operands, rng)
        case "call":
            text = f"call {', '.join([*operands[:-1], 'subroutine'])}"
        case "ret":
            text = f"call {'_'.join(['return', *operands])}"
        case "push":
            text = f"{line}\npop {pair}"
        case "pop":
            text = f"push {pair}\n{line}"
        case "ex" if operands[0] == "(sp)":
            text = f"push {pair}\n{line}\npop {pair}"
        case _:
            after = f"\nld sp, ({SAVED_SP})" if "sp" in operands else ""
            text = f"{_pointers(form, rng)}{line}{after}"
    return text


def _jump(mnemonic: str, operands: list[str], rng: Random) -> str:
    """Over something, or not over it."""
    *condition, to = operands
    register = to.strip("()")
    before = f"ld {register}, NEXT\n" if register in PAIRS else ""
    line = f"{mnemonic} {', '.join([*condition, to if before else 'NEXT'])}"
    return f"{before}{line}\n{rng.choice(FILLERS)}\nNEXT:"


def _pointers(form: Form, rng: Random) -> str:
    """Every pair points into data; a block instruction's count is small."""
    block = form.mnemonic in BLOCK
    if not (block or form.mnemonic in {"rld", "rrd"} or POINTING & set(form.operands)):
        return ""
    values = {pair: rng.choice(POINTERS) for pair in PAIRS}
    if block:
        values["bc"] = rng.randrange(1, 60)
    return "".join(f"ld {pair}, {value}\n" for pair, value in values.items())


def trace(number: int) -> str:
    """A and all flags, the undocumented ones too."""
    return f"push af\npop hl\nld ({TRACE[number]}), hl"


def frame(body: str, target: Target) -> str:
    """Both sets of registers; SP is set right again by every piece that changes it."""
    del target
    loads = "\n".join(f"ld {pair}, ({DATA[2 * n]})" for n, pair in enumerate(PAIRS))
    stores = "\n".join(f"ld ({SAVED + 2 * n}), {pair}" for n, pair in enumerate(PAIRS))
    returns = "\n".join(f"return_{cc}:\nret {cc}\nret" for cc in CONDITIONS)
    return f"""
        ld ({SAVED_SP}), sp
        {loads}
        {body}
        push af
        {stores}
        pop hl
        ld ({SAVED + 10}), hl
        exx
        ex af, af'
        push af
        ld ({SAVED + 12}), bc
        ld ({SAVED + 14}), de
        ld ({SAVED + 16}), hl
        pop hl
        ld ({SAVED + 18}), hl
    return:
    subroutine:
        ret
    {returns}
    """
