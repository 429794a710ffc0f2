"""Every instruction of the Z80 by the bits of its opcode, with its T-states and M1 cycles.

Documented ones are from the Z80 CPU user manual (UM0080), independently of `kernels.z80.isa`.
Undocumented ones (`u`) are from Sean Young, "The Undocumented Z80 Documented" 0.91: halves of index
registers, SLL and DDCB (3.1, 3.2, 3.5), ED's no-ops and mirrors (3.4), and DD and FD before an
instruction without HL, where the prefix is a no-op of 4 T and one M1 cycle (3.2, 3.7).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

# Letters are operand bits; r and s are registers, and not 110, which is (hl). bytes: of the whole
# instruction. T: not taken / taken, or the last round / a repeated one.
_PLAIN: Final = """
bits      | mnemonic | bytes | T
0000 0000 | nop  | 1 | 4
0000 1000 | ex   | 1 | 4
0001 0000 | djnz | 2 | 8/13
0001 1000 | jr   | 2 | 12
001c c000 | jr   | 2 | 7/12
00pp 0001 | ld   | 3 | 10
00pp 1001 | add  | 1 | 11
000p 0010 | ld   | 1 | 7
000p 1010 | ld   | 1 | 7
0010 0010 | ld   | 3 | 16
0010 1010 | ld   | 3 | 16
0011 0010 | ld   | 3 | 13
0011 1010 | ld   | 3 | 13
00pp 0011 | inc  | 1 | 6
00pp 1011 | dec  | 1 | 6
00rr r100 | inc  | 1 | 4
0011 0100 | inc  | 1 | 11
00rr r101 | dec  | 1 | 4
0011 0101 | dec  | 1 | 11
00rr r110 | ld   | 2 | 7
0011 0110 | ld   | 2 | 10
0000 0111 | rlca | 1 | 4
0000 1111 | rrca | 1 | 4
0001 0111 | rla  | 1 | 4
0001 1111 | rra  | 1 | 4
0010 0111 | daa  | 1 | 4
0010 1111 | cpl  | 1 | 4
0011 0111 | scf  | 1 | 4
0011 1111 | ccf  | 1 | 4
01rr rsss | ld   | 1 | 4
01rr r110 | ld   | 1 | 7
0111 0sss | ld   | 1 | 7
0111 0110 | halt | 1 | 4
10oo orrr | alu  | 1 | 4
10oo o110 | alu  | 1 | 7
11cc c000 | ret  | 1 | 5/11
11pp 0001 | pop  | 1 | 10
1100 1001 | ret  | 1 | 10
1101 1001 | exx  | 1 | 4
1110 1001 | jp   | 1 | 4
1111 1001 | ld   | 1 | 6
11cc c010 | jp   | 3 | 10/10
1100 0011 | jp   | 3 | 10
1101 0011 | out  | 2 | 11
1101 1011 | in   | 2 | 11
1110 0011 | ex   | 1 | 19
1110 1011 | ex   | 1 | 4
1111 0011 | di   | 1 | 4
1111 1011 | ei   | 1 | 4
11cc c100 | call | 3 | 10/17
11pp 0101 | push | 1 | 11
1100 1101 | call | 3 | 17
11oo o110 | alu  | 2 | 7
11tt t111 | rst  | 1 | 11
"""

_CB: Final = """
bits      | mnemonic | bytes | T
000o orrr | rot  | 2 | 8
000o o110 | rot  | 2 | 15
0010 orrr | rot  | 2 | 8
0010 o110 | rot  | 2 | 15
0011 0rrr | sll  | 2 | 8  | u
0011 0110 | sll  | 2 | 15 | u
0011 1rrr | rot  | 2 | 8
0011 1110 | rot  | 2 | 15
01bb brrr | bit  | 2 | 8
01bb b110 | bit  | 2 | 12
10bb brrr | res  | 2 | 8
10bb b110 | res  | 2 | 15
11bb brrr | set  | 2 | 8
11bb b110 | set  | 2 | 15
"""

_ED: Final = """
bits      | mnemonic | bytes | T
01rr r000 | in   | 2 | 12
0111 0000 | in   | 2 | 12 | u
01rr r001 | out  | 2 | 12
0111 0001 | out  | 2 | 12 | u
01pp 0010 | sbc  | 2 | 15
01pp 1010 | adc  | 2 | 15
01pp 0011 | ld   | 4 | 20
01pp 1011 | ld   | 4 | 20
0100 0100 | neg  | 2 | 8
0100 1100 | neg  | 2 | 8  | u
0101 x100 | neg  | 2 | 8  | u
011x x100 | neg  | 2 | 8  | u
0100 x101 | ret  | 2 | 14
0101 x101 | ret  | 2 | 14 | u
011x x101 | ret  | 2 | 14 | u
0100 0110 | im   | 2 | 8
0100 1110 | im   | 2 | 8  | u
0101 x110 | im   | 2 | 8
011x x110 | im   | 2 | 8  | u
0100 0111 | ld   | 2 | 9
0100 1111 | ld   | 2 | 9
0101 0111 | ld   | 2 | 9
0101 1111 | ld   | 2 | 9
0110 0111 | rrd  | 2 | 18
0110 1111 | rld  | 2 | 18
0111 x111 | nop  | 2 | 8  | u
1010 x000 | ldi  | 2 | 16
1010 x001 | cpi  | 2 | 16
1010 x010 | ini  | 2 | 16
1010 x011 | outi | 2 | 16
1011 x000 | ldir | 2 | 16/21
1011 x001 | cpir | 2 | 16/21
1011 x010 | inir | 2 | 16/21
1011 x011 | otir | 2 | 16/21
00xx xxxx | nop  | 2 | 8  | u
100x xxxx | nop  | 2 | 8  | u
101x x1xx | nop  | 2 | 8  | u
11xx xxxx | nop  | 2 | 8  | u
"""

# With IX or IY for HL. What is not here takes the prefix as a no-op.
_INDEX: Final = """
bits      | mnemonic | bytes | T
00pp 1001 | add  | 2 | 15
0010 0001 | ld   | 4 | 14
0010 x010 | ld   | 4 | 20
0010 0011 | inc  | 2 | 10
0010 1011 | dec  | 2 | 10
0010 h100 | inc  | 2 | 8  | u
0010 h101 | dec  | 2 | 8  | u
0010 h110 | ld   | 3 | 11 | u
0011 0100 | inc  | 3 | 23
0011 0101 | dec  | 3 | 23
0011 0110 | ld   | 4 | 19
01rr r10h | ld   | 2 | 8  | u
0110 h0ss | ld   | 2 | 8  | u
0110 h111 | ld   | 2 | 8  | u
01rr r110 | ld   | 3 | 19
0111 0sss | ld   | 3 | 19
10oo o10h | alu  | 2 | 8  | u
10oo o110 | alu  | 3 | 19
1110 0001 | pop  | 2 | 14
1110 0101 | push | 2 | 15
1110 0011 | ex   | 2 | 23
1110 1001 | jp   | 2 | 8
1111 1001 | ld   | 2 | 10
"""

_INDEX_CB: Final = """
bits      | mnemonic | bytes | T
000o o110 | rot  | 4 | 23
0010 o110 | rot  | 4 | 23
0011 0110 | sll  | 4 | 23 | u
0011 1110 | rot  | 4 | 23
01bb b110 | bit  | 4 | 20
10bb b110 | res  | 4 | 23
11bb b110 | set  | 4 | 23
000o orrr | rot  | 4 | 23 | u
0010 orrr | rot  | 4 | 23 | u
0011 0rrr | sll  | 4 | 23 | u
0011 1rrr | rot  | 4 | 23 | u
01bb brrr | bit  | 4 | 20 | u
10bb brrr | res  | 4 | 23 | u
11bb brrr | set  | 4 | 23 | u
"""

INDEX_PREFIXES: Final = (0xDD, 0xFD)
_PREFIXES: Final = {0xCB, 0xED, *INDEX_PREFIXES}
_HL_IN_MEMORY: Final = 0b110


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table; m1: the fetches of opcode and prefixes, of one round if it repeats."""

    bits: str
    mnemonic: str
    size: int
    cycles: tuple[int, ...]
    m1: int
    documented: bool

    def fields(self, opcode: int) -> dict[str, int]:
        """Give the operands of an opcode by their letters."""
        found: dict[str, int] = {}
        for n, letter in enumerate(self.bits):
            if letter not in "01":
                found[letter] = found.get(letter, 0) << 1 | opcode >> 7 - n & 1
        return found

    def matches(self, opcode: int) -> bool:
        """Tell whether an opcode is one of this row."""
        fixed = all(
            letter not in "01" or int(letter) == opcode >> 7 - n & 1
            for n, letter in enumerate(self.bits)
        )
        fields = self.fields(opcode)
        return fixed and _HL_IN_MEMORY not in (fields.get("r"), fields.get("s"))


def _read(text: str, m1: int) -> Mapping[int, Row]:
    """Read a table; no opcode may be in two rows."""
    table: dict[int, Row] = {}
    for line in text.strip().splitlines()[1:]:
        bits, mnemonic, size, cycles, mark = [*map(str.strip, line.split("|")), ""][:5]
        timing = tuple(int(n) for n in cycles.split("/"))
        row = Row(bits.replace(" ", ""), mnemonic, int(size), timing, m1, mark != "u")
        for opcode in filter(row.matches, range(256)):
            if opcode in table:
                raise ValueError(f"{opcode:#04x} is in two rows")
            table[opcode] = row
    return table


PLAIN: Final = _read(_PLAIN, m1=1)
CB: Final = _read(_CB, m1=2)
ED: Final = _read(_ED, m1=2)
INDEX: Final = _read(_INDEX, m1=2)
# The opcode comes after the displacement and is not fetched in an M1 cycle.
INDEX_CB: Final = _read(_INDEX_CB, m1=2)


def decode(code: bytes) -> tuple[Row, int]:
    """Give the row of the instruction that bytes begin with, and its opcode."""
    first, second = code[0], code[1] if len(code) > 1 else 0
    if first == 0xCB:
        return CB[second], second
    if first == 0xED:
        return ED[second], second
    if first not in INDEX_PREFIXES:
        return PLAIN[first], first
    if second == 0xCB:
        return INDEX_CB[code[3]], code[3]
    if second in INDEX:
        return INDEX[second], second
    row, opcode = decode(code[1:])
    cycles = tuple(4 + n for n in row.cycles)
    return replace(row, size=1 + row.size, cycles=cycles, m1=1 + row.m1, documented=False), opcode


def codes() -> Iterator[tuple[str, bytes]]:
    """Yield every instruction without its operands, by the group that it belongs to.

    The displacement of DDCB and FDCB is 5.
    """
    yield from (("", bytes([opcode])) for opcode in PLAIN)
    yield from (("CB", bytes([0xCB, opcode])) for opcode in CB)
    yield from (("ED", bytes([0xED, opcode])) for opcode in ED)
    for prefix in INDEX_PREFIXES:
        name = f"{prefix:02X}"
        yield from ((name, bytes([prefix, opcode])) for opcode in INDEX)
        yield from ((f"{name}CB", bytes([prefix, 0xCB, 5, opcode])) for opcode in INDEX_CB)
        idle = [bytes([opcode]) for opcode in PLAIN if opcode not in INDEX]
        idle += [bytes([0xED, opcode]) for opcode in ED]
        for other in INDEX_PREFIXES:
            idle += [bytes([other, opcode]) for opcode in INDEX]
            idle += [bytes([other, 0xCB, 5, opcode]) for opcode in INDEX_CB]
        yield from ((f"{name} without effect", bytes([prefix]) + code) for code in idle)
