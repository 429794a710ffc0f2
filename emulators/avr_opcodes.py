"""The AVR's instruction set as encodings: who has which, and what each one accesses.

From the AVR instruction set manual (DS40002198), cores AVRe and AVRe+. This is what simavr does not
check: it executes what a device lacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

OPCODES: Final = 1 << 16
_ALL = np.arange(OPCODES, dtype=np.uint32)


class Feature(Enum):
    """What only some cores have."""

    BREAK = "break"
    MUL = "mul"
    JMP = "jmp"
    ELPM = "elpm"
    EIND = "eind"


class Access(Enum):
    """How an instruction touches memory, other than the registers that it names."""

    LOAD = "load"
    STORE = "store"
    PUSH = "push"
    CALL = "call"
    RETURN = "return"
    LPM = "lpm"
    ELPM = "elpm"
    SPM = "spm"


class Base(Enum):
    """What an address is relative to: a pair of bytes of data memory, by the low one's address."""

    NONE = None
    X = 26
    Y = 28
    Z = 30
    SP = 0x5D


@dataclass(frozen=True, slots=True)
class Operation:
    """An encoding. pattern: 0, 1, or a letter for each bit of an operand, as in the manual.

    An address is the base, plus `offset`, plus operand q or A of the pattern; that of a long
    instruction without a base is its second word.
    """

    name: str
    pattern: str
    feature: Feature | None = None
    access: Access | None = None
    base: Base = Base.NONE
    offset: int = 0
    long: bool = False


def operand(letter: str, pattern: str) -> NDArray[np.uint32]:
    """Give an operand's value in every opcode, uint32 (65536,); 0 without such bits."""
    bits = [15 - place for place, bit in enumerate(pattern) if bit == letter]
    value: NDArray[np.uint32] = np.zeros(OPCODES, np.uint32)
    for bit in bits:
        value = (value << 1 | (_ALL >> bit & 1)).astype(np.uint32)
    return value


def matches(pattern: str) -> NDArray[np.bool_]:
    """Tell of every opcode whether it is of this pattern, (65536,)."""
    mask = int("".join("1" if bit in "01" else "0" for bit in pattern), 2)
    value = int("".join(bit if bit in "01" else "0" for bit in pattern), 2)
    matched: NDArray[np.bool_] = (_ALL & mask) == value
    return matched


_PLAIN = """
    nop    0000000000000000   movw   00000001ddddrrrr   cpc    000001rdddddrrrr
    sbc    000010rdddddrrrr   add    000011rdddddrrrr   cpse   000100rdddddrrrr
    cp     000101rdddddrrrr   sub    000110rdddddrrrr   adc    000111rdddddrrrr
    and    001000rdddddrrrr   eor    001001rdddddrrrr   or     001010rdddddrrrr
    mov    001011rdddddrrrr   cpi    0011KKKKddddKKKK   sbci   0100KKKKddddKKKK
    subi   0101KKKKddddKKKK   ori    0110KKKKddddKKKK   andi   0111KKKKddddKKKK
    com    1001010ddddd0000   neg    1001010ddddd0001   swap   1001010ddddd0010
    inc    1001010ddddd0011   asr    1001010ddddd0101   lsr    1001010ddddd0110
    ror    1001010ddddd0111   dec    1001010ddddd1010   bset   100101000sss1000
    bclr   100101001sss1000   ijmp   1001010000001001   sleep  1001010110001000
    wdr    1001010110101000   adiw   10010110KKddKKKK   sbiw   10010111KKddKKKK
    rjmp   1100kkkkkkkkkkkk   ldi    1110KKKKddddKKKK   brbs   111100kkkkkkksss
    brbc   111101kkkkkkksss   bld    1111100ddddd0bbb   bst    1111101ddddd0bbb
    sbrc   1111110rrrrr0bbb   sbrs   1111111rrrrr0bbb
"""
_PRODUCTS = """
    mul    100111rdddddrrrr   muls   00000010ddddrrrr   mulsu  000000110ddd0rrr
    fmul   000000110ddd1rrr   fmuls  000000111ddd0rrr   fmulsu 000000111ddd1rrr
"""


def _named(table: str, feature: Feature | None = None) -> list[Operation]:
    words = table.split()
    return [Operation(*pair, feature) for pair in zip(words[::2], words[1::2], strict=True)]


def _loads_and_stores() -> list[Operation]:
    """Each comes twice; bit 9 tells a store (s) from a load."""
    forms = [
        ("X", "100100sddddd1100", Base.X, 0),
        ("X+", "100100sddddd1101", Base.X, 0),
        ("-X", "100100sddddd1110", Base.X, -1),
        ("Y+", "100100sddddd1001", Base.Y, 0),
        ("-Y", "100100sddddd1010", Base.Y, -1),
        ("Y+q", "10q0qqsddddd1qqq", Base.Y, 0),
        ("Z+", "100100sddddd0001", Base.Z, 0),
        ("-Z", "100100sddddd0010", Base.Z, -1),
        ("Z+q", "10q0qqsddddd0qqq", Base.Z, 0),
    ]
    kinds = [("ld", "0", Access.LOAD), ("st", "1", Access.STORE)]
    return [
        Operation(f"{name} {form}", pattern.replace("s", bit), None, access, base, offset)
        for form, pattern, base, offset in forms
        for name, bit, access in kinds
    ]


def _fixed_addresses() -> list[Operation]:
    first_io = 0x20
    return [
        Operation("lds", "1001000ddddd0000", None, Access.LOAD, long=True),
        Operation("sts", "1001001ddddd0000", None, Access.STORE, long=True),
        Operation("in", "10110AAdddddAAAA", None, Access.LOAD, offset=first_io),
        Operation("out", "10111AArrrrrAAAA", None, Access.STORE, offset=first_io),
        Operation("cbi", "10011000AAAAAbbb", None, Access.STORE, offset=first_io),
        Operation("sbi", "10011010AAAAAbbb", None, Access.STORE, offset=first_io),
        Operation("sbic", "10011001AAAAAbbb", None, Access.LOAD, offset=first_io),
        Operation("sbis", "10011011AAAAAbbb", None, Access.LOAD, offset=first_io),
    ]


def _program_memory() -> list[Operation]:
    return [
        Operation("lpm", "1001010111001000", None, Access.LPM, Base.Z),
        Operation("lpm Z", "1001000ddddd0100", None, Access.LPM, Base.Z),
        Operation("lpm Z+", "1001000ddddd0101", None, Access.LPM, Base.Z),
        Operation("elpm", "1001010111011000", Feature.ELPM, Access.ELPM, Base.Z),
        Operation("elpm Z", "1001000ddddd0110", Feature.ELPM, Access.ELPM, Base.Z),
        Operation("elpm Z+", "1001000ddddd0111", Feature.ELPM, Access.ELPM, Base.Z),
        Operation("spm", "1001010111101000", None, Access.SPM, Base.Z),
    ]


def _stack_and_jumps() -> list[Operation]:
    jmp, eind = Feature.JMP, Feature.EIND
    return [
        Operation("push", "1001001rrrrr1111", None, Access.PUSH, Base.SP),
        Operation("pop", "1001000ddddd1111", None, Access.LOAD, Base.SP, 1),
        Operation("rcall", "1101kkkkkkkkkkkk", None, Access.CALL, Base.SP),
        Operation("icall", "1001010100001001", None, Access.CALL, Base.SP),
        Operation("eicall", "1001010100011001", eind, Access.CALL, Base.SP),
        Operation("call", "1001010kkkkk111k", jmp, Access.CALL, Base.SP, long=True),
        Operation("ret", "1001010100001000", None, Access.RETURN, Base.SP, 1),
        Operation("reti", "1001010100011000", None, Access.RETURN, Base.SP, 1),
        Operation("jmp", "1001010kkkkk110k", jmp, long=True),
        Operation("eijmp", "1001010000011001", eind),
        Operation("break", "1001010110011000", Feature.BREAK),
    ]


OPERATIONS: Final[tuple[Operation, ...]] = (
    *_named(_PLAIN),
    *_named(_PRODUCTS, Feature.MUL),
    *_loads_and_stores(),
    *_fixed_addresses(),
    *_program_memory(),
    *_stack_and_jumps(),
)

_TINY = frozenset({Feature.BREAK})
_SMALL = _TINY | {Feature.MUL}
_MEDIUM = _SMALL | {Feature.JMP}
_LARGE = _MEDIUM | {Feature.ELPM}
_HUGE = _LARGE | {Feature.EIND}

FEATURES: Final = {
    "atmega8": frozenset({Feature.MUL}),
    "atmega16": _MEDIUM,
    "atmega32": _MEDIUM,
    "atmega48": _SMALL,
    "atmega88": _SMALL,
    "atmega168": _MEDIUM,
    "atmega328p": _MEDIUM,
    "atmega644": _MEDIUM,
    "atmega1284p": _LARGE,
    "atmega2560": _HUGE,
    "attiny13": _TINY,
    "attiny84": _TINY,
    "attiny85": _TINY,
    "attiny2313": _TINY,
}


@cache
def decoded() -> NDArray[np.int16]:
    """Give the place in OPERATIONS of every opcode, int16 (65536,); -1: reserved."""
    places = np.full(OPCODES, -1, np.int16)
    for place, operation in enumerate(OPERATIONS):
        places[matches(operation.pattern)] = place
    return places


def operation_of(opcode: int) -> Operation | None:
    """Decode one opcode; None: reserved."""
    place = int(decoded()[opcode])
    return OPERATIONS[place] if place >= 0 else None


@cache
def has(mcu: str) -> NDArray[np.bool_]:
    """Tell of every opcode whether the device has it, (65536,)."""
    lacks = [op.feature is not None and op.feature not in FEATURES[mcu] for op in OPERATIONS]
    return np.array([not lack for lack in lacks] + [False])[decoded()]  # -1: the last one
