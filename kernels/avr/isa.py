"""The instruction set of the classic AVR cores (AVRe and AVRe+), as the manual DS40002198 has it.

Features: MOVW, LPMX (`lpm Rd, Z`), MUL, JMP (JMP and CALL), ELPM, EIJMP (EIJMP and EICALL), SPM,
BREAK; PC22, a 22-bit program counter, makes calls and returns a cycle longer. Registers are written
`r0` to `r31`, `XL` to `ZH`; of a pair, the lower.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from kernels.isa import Isa, Names, Numbers, Operand, parse_table

_FLAGS: Final = "CZNVSHTI"  # in the order of their bits in SREG
_POINTERS: Final = {"X": ("r26", "r27"), "Y": ("r28", "r29"), "Z": ("r30", "r31")}


def _registers(first: int, last: int, text: str = "") -> Names:
    names = {f"r{n}": (f"r{n}",) for n in range(first, last + 1)}
    halves = zip(("XL", "XH", "YL", "YH", "ZL", "ZH"), range(26, 32), strict=True)
    names |= {half: (f"r{n}",) for half, n in halves if first <= n <= last}
    return Names(text or f"r{first}..r{last}", names)


def _pairs(first: int, text: str) -> Names:
    names = {f"r{n}": (f"r{n}", f"r{n + 1}") for n in range(first, 32, 2)}
    return Names(text, names | {f"{pointer}L": pair for pointer, pair in _POINTERS.items()})


def _pointers(form: str, exclusive: bool) -> Names:
    names = {form.format(pointer): pair for pointer, pair in _POINTERS.items()}
    return Names("|".join(names), names, exclusive)


_Functions = Mapping[str, Callable[[int], int]]
_BYTES: Final[_Functions] = {
    "lo8": lambda x: x & 0xFF,
    "hi8": lambda x: x >> 8 & 0xFF,
    "hlo8": lambda x: x >> 16 & 0xFF,
    "hh8": lambda x: x >> 16 & 0xFF,
}
_WORDS: Final[_Functions] = {"pm": lambda x: x >> 1, "gs": lambda x: x >> 1}
_IMMEDIATES: Final[_Functions] = {
    **_BYTES,
    **_WORDS,
    "hhi8": lambda x: x >> 24 & 0xFF,
    "pm_lo8": lambda x: x >> 1 & 0xFF,
    "pm_hi8": lambda x: x >> 9 & 0xFF,
    "pm_hh8": lambda x: x >> 17 & 0xFF,
}
_SREG_AND_SP: Final = {0x3D: ("sp",), 0x3E: ("sp",), 0x3F: tuple(_FLAGS)}

_OPERANDS: Final[Mapping[str, Operand]] = {
    "Rd": _registers(0, 31),
    "Rr": _registers(0, 31),
    "Rh": _registers(16, 31),
    "Rm": _registers(16, 23),
    "Rp": _pairs(0, "r0|r2|..r30"),
    "Rw": _pairs(24, "r24|r26|r28|r30"),
    "P": _pointers("{}", exclusive=False),
    "P+": _pointers("{}+", exclusive=True),
    "-P": _pointers("-{}", exclusive=True),
    "P+q": Numbers(
        "Y+0..Y+63|Z+0..Z+63",
        range(64),
        re.compile(r"(?P<name>[YZ])\+(?P<number>.+)"),
        names=_POINTERS,
    ),
    "Z": Names("Z", {"Z": _POINTERS["Z"]}),
    "Z+": Names("Z+", {"Z+": _POINTERS["Z"]}, exclusive=True),
    "K8": Numbers("-128..255", range(-128, 256), functions=_IMMEDIATES),
    "mask": Numbers("0..255", range(256), symbolic=False),
    "K6": Numbers("0..63", range(64)),
    "b": Numbers("0..7", range(8), symbolic=False),
    "s": Names("0..7", {str(n): (flag,) for n, flag in enumerate(_FLAGS)}),
    "A5": Numbers("0..31", range(32)),
    "A6": Numbers("0..63", range(64), registers=_SREG_AND_SP),
    "k7": Numbers("label|even .-128..+126", range(-128, 127, 2), relative=True),
    "k12": Numbers("label|even .-4096..+4094", range(-4096, 4095, 2), relative=True),
    "k16": Numbers("0..65535", range(65536)),
    "k22": Numbers("even 0..0x7ffffe", range(0, 0x800000, 2)),
}

_TABLE: Final = """
# Arithmetic and logic
add                 | Rd,Rr   | 2 | 1     | Rd Rr > Rd HSVNZC
adc                 | Rd,Rr   | 2 | 1     | Rd Rr C > Rd HSVNZC
sub                 | Rd,Rr   | 2 | 1     | Rd Rr > Rd HSVNZC
sbc                 | Rd,Rr   | 2 | 1     | Rd Rr ZC > Rd HSVNZC
subi                | Rh,K8   | 2 | 1     | Rh > Rh HSVNZC
sbci                | Rh,K8   | 2 | 1     | Rh ZC > Rh HSVNZC
adiw sbiw           | Rw,K6   | 2 | 2     | Rw > Rw SVNZC
and or eor          | Rd,Rr   | 2 | 1     | Rd Rr > Rd SVNZ
andi ori            | Rh,K8   | 2 | 1     | Rh > Rh SVNZ
sbr                 | Rh,K8   | 2 | 1     | Rh > Rh SVNZ
cbr                 | Rh,mask | 2 | 1     | Rh > Rh SVNZ
com                 | Rd      | 2 | 1     | Rd > Rd SVNZC
neg                 | Rd      | 2 | 1     | Rd > Rd HSVNZC
inc dec             | Rd      | 2 | 1     | Rd > Rd SVNZ
tst                 | Rd      | 2 | 1     | Rd > SVNZ
clr                 | Rd      | 2 | 1     | > Rd SVNZ
ser                 | Rh      | 2 | 1     | > Rh
mul                 | Rd,Rr   | 2 | 2     | Rd Rr > r0 r1 ZC | MUL
muls                | Rh,Rh'  | 2 | 2     | Rh Rh' > r0 r1 ZC | MUL
mulsu               | Rm,Rm'  | 2 | 2     | Rm Rm' > r0 r1 ZC | MUL
fmul fmuls fmulsu   | Rm,Rm'  | 2 | 2     | Rm Rm' > r0 r1 ZC | MUL
cp                  | Rd,Rr   | 2 | 1     | Rd Rr > HSVNZC
cpc                 | Rd,Rr   | 2 | 1     | Rd Rr ZC > HSVNZC
cpi                 | Rh,K8   | 2 | 1     | Rh > HSVNZC

# Shifts and bits
lsl                 | Rd      | 2 | 1     | Rd > Rd HSVNZC
rol                 | Rd      | 2 | 1     | Rd C > Rd HSVNZC
lsr asr             | Rd      | 2 | 1     | Rd > Rd SVNZC
ror                 | Rd      | 2 | 1     | Rd C > Rd SVNZC
swap                | Rd      | 2 | 1     | Rd > Rd
bst                 | Rd,b    | 2 | 1     | Rd > T
bld                 | Rd,b    | 2 | 1     | Rd T > Rd
bset bclr           | s       | 2 | 1     | > s
sec clc             |         | 2 | 1     | > C
sez clz             |         | 2 | 1     | > Z
sen cln             |         | 2 | 1     | > N
sev clv             |         | 2 | 1     | > V
ses cls             |         | 2 | 1     | > S
seh clh             |         | 2 | 1     | > H
set clt             |         | 2 | 1     | > T
sei cli             |         | 2 | 1     | > I

# Branches: not taken / taken
brbs brbc           | s,k7    | 2 | 1/2   | s >
brcs brlo brcc brsh | k7      | 2 | 1/2   | C >
breq brne           | k7      | 2 | 1/2   | Z >
brmi brpl           | k7      | 2 | 1/2   | N >
brvs brvc           | k7      | 2 | 1/2   | V >
brlt brge           | k7      | 2 | 1/2   | S >
brhs brhc           | k7      | 2 | 1/2   | H >
brts brtc           | k7      | 2 | 1/2   | T >
brie brid           | k7      | 2 | 1/2   | I >

# Skips: not skipping / skipping one word / skipping two words
cpse                | Rd,Rr   | 2 | 1/2/3 | Rd Rr >
sbrc sbrs           | Rd,b    | 2 | 1/2/3 | Rd >
sbic sbis           | A5,b    | 2 | 1/2/3 |

# Jumps and calls
rjmp                | k12     | 2 | 2     |
ijmp                |         | 2 | 2     | r30 r31 >
eijmp               |         | 2 | 2     | r30 r31 eind > | EIJMP
jmp                 | k22     | 4 | 3     | | JMP
rcall               | k12     | 2 | 3     | sp > sp
rcall               | k12     | 2 | 4     | sp > sp | PC22
icall               |         | 2 | 3     | r30 r31 sp > sp
icall               |         | 2 | 4     | r30 r31 sp > sp | PC22
eicall              |         | 2 | 4     | r30 r31 eind sp > sp | EIJMP
call                | k22     | 4 | 4     | sp > sp | JMP
call                | k22     | 4 | 5     | sp > sp | PC22
ret                 |         | 2 | 4     | sp > sp
ret                 |         | 2 | 5     | sp > sp | PC22
reti                |         | 2 | 4     | sp > sp I
reti                |         | 2 | 5     | sp > sp I | PC22

# Moves, loads and stores
mov                 | Rd,Rr   | 2 | 1     | Rr > Rd
movw                | Rp,Rp'  | 2 | 1     | Rp' > Rp | MOVW
ldi                 | Rh,K8   | 2 | 1     | > Rh
ld                  | Rd,P    | 2 | 2     | P > Rd
ld                  | Rd,P+   | 2 | 2     | P+ > Rd P+
ld                  | Rd,-P   | 2 | 2     | -P > Rd -P
ldd                 | Rd,P+q  | 2 | 2     | P+q > Rd
lds                 | Rd,k16  | 4 | 2     | > Rd
st                  | P,Rr    | 2 | 2     | P Rr >
st                  | P+,Rr   | 2 | 2     | P+ Rr > P+
st                  | -P,Rr   | 2 | 2     | -P Rr > -P
std                 | P+q,Rr  | 2 | 2     | P+q Rr >
sts                 | k16,Rr  | 4 | 2     | Rr >
lpm                 |         | 2 | 3     | r30 r31 > r0
lpm                 | Rd,Z    | 2 | 3     | Z > Rd | LPMX
lpm                 | Rd,Z+   | 2 | 3     | Z+ > Rd Z+ | LPMX
elpm                |         | 2 | 3     | r30 r31 rampz > r0 | ELPM
elpm                | Rd,Z    | 2 | 3     | Z rampz > Rd | ELPM
elpm                | Rd,Z+   | 2 | 3     | Z+ rampz > Rd Z+ rampz | ELPM
push                | Rr      | 2 | 2     | Rr sp > sp
pop                 | Rd      | 2 | 2     | sp > Rd sp
in                  | Rd,A6   | 2 | 1     | A6 > Rd
out                 | A6,Rr   | 2 | 1     | Rr > A6
sbi cbi             | A5,b    | 2 | 2     |

# Control. SPM itself takes a cycle; the CPU then halts while flash is written.
nop sleep wdr       |         | 2 | 1     |
break               |         | 2 | 1     | | BREAK
spm                 |         | 2 | 1     | r0 r1 r30 r31 > | SPM
"""

AVR: Final = Isa(
    name="AVR",
    forms=parse_table(_TABLE),
    operands=_OPERANDS,
    registers={name: (name,) for name in (*(f"r{n}" for n in range(32)), "sp", "rampz", "eind")},
    byte=Numbers("-128..255", range(-128, 256), functions=_BYTES),
    word=Numbers("-32768..65535", range(-32768, 65536), functions=_WORDS),
    features=frozenset({"MOVW", "LPMX", "MUL", "JMP", "ELPM", "EIJMP", "PC22", "SPM", "BREAK"}),
)
"""The classic AVR cores; a device is this with its own set of features."""
