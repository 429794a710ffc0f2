"""The Z80's instruction set in GNU as's syntax, with T-states.

All documented instructions, and those undocumented ones that every NMOS and CMOS Z80 shares: the
halves of IX and IY, `sll`, and indexed shifts, `res` and `set` that copy the result to a register.
Flags are S Z H P N C; bits 3 and 5 of F are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from kernels.isa import Isa, Names, Numbers, Operand, parse_table

_FLAGS: Final = "SZHPNC"
_BYTES: Final = ("a", "b", "c", "d", "e", "h", "l", "ixh", "ixl", "iyh", "iyl", "i", "r")
_REGISTERS: Final[Mapping[str, tuple[str, ...]]] = {
    **{name: (name,) for name in (*_BYTES, "sp", "af'", "bc'", "de'", "hl'")},
    "af": ("a", *_FLAGS),
    "bc": ("b", "c"),
    "de": ("d", "e"),
    "hl": ("h", "l"),
    "ix": ("ixh", "ixl"),
    "iy": ("iyh", "iyl"),
    "f": tuple(_FLAGS),
}
_CONDITIONS: Final = {
    **{"nz": ("Z",), "z": ("Z",), "nc": ("C",), "c": ("C",)},
    **{"po": ("P",), "pe": ("P",), "p": ("S",), "m": ("S",)},
}
_INDEX: Final = {name: _REGISTERS[name] for name in ("ix", "iy")}


def _names(names: str) -> Names:
    return Names(names.replace(" ", "|"), {name: _REGISTERS[name] for name in names.split()})


# GNU as takes a number in parentheses for an address, wherever one may stand.
_PLAIN: Final = re.compile(r"(?!\(.*\)$)(?P<number>.+)")
_IN_PARENTHESES: Final = re.compile(r"\((?P<number>.+)\)")

_OPERANDS: Final[Mapping[str, Operand]] = {
    "r8": _names("a b c d e h l"),
    "abcde": _names("a b c d e"),
    "x8": _names("ixh ixl"),
    "y8": _names("iyh iyl"),
    "xy8": _names("ixh ixl iyh iyl"),
    "rr": _names("bc de hl sp"),
    "rr-hl": _names("bc de sp"),
    "rrx": _names("bc de ix sp"),
    "rry": _names("bc de iy sp"),
    "rra": _names("bc de hl af"),
    "xy": _names("ix iy"),
    "(xy)": Names("(ix)|(iy)", {f"({name})": pair for name, pair in _INDEX.items()}),
    "(xy+d)": Numbers(
        "(ix-128)..(ix+127)|(iy-128)..(iy+127)",
        range(-128, 128),
        re.compile(r"\((?P<name>ix|iy)(?P<number>[+-].+)?\)"),
        names=_INDEX,
    ),
    "cc": Names("nz|z|nc|c|po|pe|p|m", _CONDITIONS),
    "jrcc": Names("nz|z|nc|c", {cc: _CONDITIONS[cc] for cc in ("nz", "z", "nc", "c")}),
    "n": Numbers("-128..255", range(-128, 256), _PLAIN),
    "(n)": Numbers("(0)..(255)", range(256), _IN_PARENTHESES),
    "nn": Numbers("-32768..65535", range(-32768, 65536), _PLAIN),
    "(nn)": Numbers("(0)..(65535)", range(65536), _IN_PARENTHESES),
    "rel": Numbers("label|$-126..$+129", range(-126, 130), _PLAIN, relative=True),
    "bit": Numbers("0..7", range(8), _PLAIN, symbolic=False),
    "mode": Numbers("0..2", range(3), _PLAIN, symbolic=False),
    "vector": Numbers("0|8|..0x38", range(0, 64, 8), _PLAIN, symbolic=False),
}

_TABLE: Final = """
# 8-bit loads
ld                  | r8,r8'        | 1 | 4     | r8' > r8
ld                  | r8,n          | 2 | 7     | > r8
ld                  | r8,(hl)       | 1 | 7     | (hl) > r8
ld                  | r8,(xy+d)     | 3 | 19    | (xy+d) > r8
ld                  | (hl),r8       | 1 | 7     | (hl) r8 >
ld                  | (hl),n        | 2 | 10    | (hl) >
ld                  | (xy+d),r8     | 3 | 19    | (xy+d) r8 >
ld                  | (xy+d),n      | 4 | 19    | (xy+d) >
ld                  | a,(bc)        | 1 | 7     | (bc) > a
ld                  | a,(de)        | 1 | 7     | (de) > a
ld                  | a,(nn)        | 3 | 13    | > a
ld                  | (bc),a        | 1 | 7     | (bc) a >
ld                  | (de),a        | 1 | 7     | (de) a >
ld                  | (nn),a        | 3 | 13    | a >
ld                  | a,i           | 2 | 9     | i > a SZHPN
ld                  | a,r           | 2 | 9     | r > a SZHPN
ld                  | i,a           | 2 | 9     | a > i
ld                  | r,a           | 2 | 9     | a > r
ld                  | xy8,n         | 3 | 11    | > xy8
ld                  | abcde,xy8     | 2 | 8     | xy8 > abcde
ld                  | xy8,abcde     | 2 | 8     | abcde > xy8
ld                  | x8,x8'        | 2 | 8     | x8' > x8
ld                  | y8,y8'        | 2 | 8     | y8' > y8

# 16-bit loads
ld                  | rr,nn         | 3 | 10    | > rr
ld                  | xy,nn         | 4 | 14    | > xy
ld                  | hl,(nn)       | 3 | 16    | > hl
ld                  | rr-hl,(nn)    | 4 | 20    | > rr-hl
ld                  | xy,(nn)       | 4 | 20    | > xy
ld                  | (nn),hl       | 3 | 16    | hl >
ld                  | (nn),rr-hl    | 4 | 20    | rr-hl >
ld                  | (nn),xy       | 4 | 20    | xy >
ld                  | sp,hl         | 1 | 6     | hl > sp
ld                  | sp,xy         | 2 | 10    | xy > sp
push                | rra           | 1 | 11    | rra sp > sp
push                | xy            | 2 | 15    | xy sp > sp
pop                 | rra           | 1 | 10    | sp > rra sp
pop                 | xy            | 2 | 14    | sp > xy sp

# Exchanges, and block moves and searches: last round / repeated
ex                  | de,hl         | 1 | 4     | de hl > de hl
ex                  | af,af'        | 1 | 4     | af af' > af af'
exx                 |               | 1 | 4     | bc de hl bc' de' hl' > bc de hl bc' de' hl'
ex                  | (sp),hl       | 1 | 19    | hl sp > hl
ex                  | (sp),xy       | 2 | 23    | xy sp > xy
ldi ldd             |               | 2 | 16    | bc de hl > bc de hl HPN
ldir lddr           |               | 2 | 16/21 | bc de hl > bc de hl HPN
cpi cpd             |               | 2 | 16    | a bc hl > bc hl SZHPN
cpir cpdr           |               | 2 | 16/21 | a bc hl > bc hl SZHPN

# 8-bit arithmetic on one operand (with two: see _ALU)
inc dec             | r8            | 1 | 4     | r8 > r8 SZHPN
inc dec             | xy8           | 2 | 8     | xy8 > xy8 SZHPN
inc dec             | (hl)          | 1 | 11    | (hl) > SZHPN
inc dec             | (xy+d)        | 3 | 23    | (xy+d) > SZHPN
daa                 |               | 1 | 4     | a HNC > a SZHPC
cpl                 |               | 1 | 4     | a > a HN
neg                 |               | 2 | 8     | a > a SZHPNC
ccf                 |               | 1 | 4     | C > HNC
scf                 |               | 1 | 4     | > HNC

# 16-bit arithmetic
add                 | hl,rr         | 1 | 11    | hl rr > hl HNC
adc sbc             | hl,rr         | 2 | 15    | hl rr C > hl SZHPNC
add                 | ix,rrx        | 2 | 15    | ix rrx > ix HNC
add                 | iy,rry        | 2 | 15    | iy rry > iy HNC
inc dec             | rr            | 1 | 6     | rr > rr
inc dec             | xy            | 2 | 10    | xy > xy

# Rotates, shifts and bits
rlca rrca           |               | 1 | 4     | a > a HNC
rla rra             |               | 1 | 4     | a C > a HNC
rlc rrc             | r8            | 2 | 8     | r8 > r8 SZHPNC
rl rr               | r8            | 2 | 8     | r8 C > r8 SZHPNC
sla sra sll srl     | r8            | 2 | 8     | r8 > r8 SZHPNC
rlc rrc             | (hl)          | 2 | 15    | (hl) > SZHPNC
rl rr               | (hl)          | 2 | 15    | (hl) C > SZHPNC
sla sra sll srl     | (hl)          | 2 | 15    | (hl) > SZHPNC
rlc rrc             | (xy+d)        | 4 | 23    | (xy+d) > SZHPNC
rl rr               | (xy+d)        | 4 | 23    | (xy+d) C > SZHPNC
sla sra sll srl     | (xy+d)        | 4 | 23    | (xy+d) > SZHPNC
rlc rrc             | (xy+d),r8     | 4 | 23    | (xy+d) > r8 SZHPNC
rl rr               | (xy+d),r8     | 4 | 23    | (xy+d) C > r8 SZHPNC
sla sra sll srl     | (xy+d),r8     | 4 | 23    | (xy+d) > r8 SZHPNC
rld rrd             |               | 2 | 18    | a hl > a SZHPN
bit                 | bit,r8        | 2 | 8     | r8 > SZHPN
bit                 | bit,(hl)      | 2 | 12    | (hl) > SZHPN
bit                 | bit,(xy+d)    | 4 | 20    | (xy+d) > SZHPN
res set             | bit,r8        | 2 | 8     | r8 > r8
res set             | bit,(hl)      | 2 | 15    | (hl) >
res set             | bit,(xy+d)    | 4 | 23    | (xy+d) >
res set             | bit,(xy+d),r8 | 4 | 23    | (xy+d) > r8

# Jumps and calls: not taken / taken
jp                  | nn            | 3 | 10    |
jp                  | cc,nn         | 3 | 10    | cc >
jp                  | (hl)          | 1 | 4     | (hl) >
jp                  | (xy)          | 2 | 8     | (xy) >
jr                  | rel           | 2 | 12    |
jr                  | jrcc,rel      | 2 | 7/12  | jrcc >
djnz                | rel           | 2 | 8/13  | b > b
call                | nn            | 3 | 17    | sp > sp
call                | cc,nn         | 3 | 10/17 | cc sp > sp
ret                 |               | 1 | 10    | sp > sp
ret                 | cc            | 1 | 5/11  | cc sp > sp
reti retn           |               | 2 | 14    | sp > sp
rst                 | vector        | 1 | 11    | sp > sp

# Input, output and control
in                  | a,(n)         | 2 | 11    | a > a
in                  | r8,(c)        | 2 | 12    | bc > r8 SZHPN
in                  | f,(c)         | 2 | 12    | bc > SZHPN
out                 | (n),a         | 2 | 11    | a >
out                 | (c),r8        | 2 | 12    | bc r8 >
out                 | (c),0         | 2 | 12    | bc >
ini ind outi outd   |               | 2 | 16    | bc hl > b hl SZHPNC
inir indr otir otdr |               | 2 | 16/21 | bc hl > b hl SZHPNC
nop halt di ei      |               | 1 | 4     |
im                  | mode          | 2 | 8     |
"""

_ALU: Final = """
add                 | a,{0}         | {1} | {2} | a {0} > a SZHPNC
adc sbc             | a,{0}         | {1} | {2} | a {0} C > a SZHPNC
sub and or xor      | {0}           | {1} | {2} | a {0} > a SZHPNC
cp                  | {0}           | {1} | {2} | a {0} > SZHPNC
"""
# operand, bytes, T-states
_SOURCES: Final = (("r8", 1, 4), ("xy8", 2, 8), ("n", 2, 7), ("(hl)", 1, 7), ("(xy+d)", 3, 19))

Z80: Final = Isa(
    name="Z80",
    forms=parse_table(_TABLE + "".join(_ALU.format(*source) for source in _SOURCES)),
    operands=_OPERANDS,
    registers=_REGISTERS,
    byte=Numbers("-128..255", range(-128, 256)),
    word=Numbers("-32768..65535", range(-32768, 65536)),
    here=".$",
    separator=",",
)
"""The Z80, documented instructions and the shared undocumented ones."""
