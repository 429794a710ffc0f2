"""Every instruction of the classic AVR cores by the bits of its opcode, with its cycles.

Written from the AVR instruction set manual (DS40002198, column AVRe/AVRe+), independently of
`kernels.avr.isa`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

# Letters are operand bits. words: of the whole instruction. cycles: not taken / taken, or not
# skipping / over one word / over two words; `a,b`: with a 16-bit, a 22-bit program counter.
# device: what it must have, if not every one does.
_TABLE: Final = """
bits                | mnemonic | words | cycles | device
0000 0000 0000 0000 | nop      | 1 | 1
0000 0001 dddd rrrr | movw     | 1 | 1     | MOVW
0000 0010 dddd rrrr | muls     | 1 | 2     | MUL
0000 0011 0ddd 0rrr | mulsu    | 1 | 2     | MUL
0000 0011 0ddd 1rrr | fmul     | 1 | 2     | MUL
0000 0011 1ddd 0rrr | fmuls    | 1 | 2     | MUL
0000 0011 1ddd 1rrr | fmulsu   | 1 | 2     | MUL
0000 01rd dddd rrrr | cpc      | 1 | 1
0000 10rd dddd rrrr | sbc      | 1 | 1
0000 11rd dddd rrrr | add      | 1 | 1
0001 00rd dddd rrrr | cpse     | 1 | 1/2/3
0001 01rd dddd rrrr | cp       | 1 | 1
0001 10rd dddd rrrr | sub      | 1 | 1
0001 11rd dddd rrrr | adc      | 1 | 1
0010 00rd dddd rrrr | and      | 1 | 1
0010 01rd dddd rrrr | eor      | 1 | 1
0010 10rd dddd rrrr | or       | 1 | 1
0010 11rd dddd rrrr | mov      | 1 | 1
0011 KKKK dddd KKKK | cpi      | 1 | 1
0100 KKKK dddd KKKK | sbci     | 1 | 1
0101 KKKK dddd KKKK | subi     | 1 | 1
0110 KKKK dddd KKKK | ori      | 1 | 1
0111 KKKK dddd KKKK | andi     | 1 | 1
10q0 qq0d dddd pqqq | ldd      | 1 | 2
10q0 qq1d dddd pqqq | std      | 1 | 2
1001 000d dddd 0000 | lds      | 2 | 2
1001 000d dddd 0001 | ld Z+    | 1 | 2
1001 000d dddd 0010 | ld -Z    | 1 | 2
1001 000d dddd 0100 | lpm Z    | 1 | 3     | LPMX
1001 000d dddd 0101 | lpm Z+   | 1 | 3     | LPMX
1001 000d dddd 0110 | elpm Z   | 1 | 3     | ELPM
1001 000d dddd 0111 | elpm Z+  | 1 | 3     | ELPM
1001 000d dddd 1001 | ld Y+    | 1 | 2
1001 000d dddd 1010 | ld -Y    | 1 | 2
1001 000d dddd 1100 | ld X     | 1 | 2
1001 000d dddd 1101 | ld X+    | 1 | 2
1001 000d dddd 1110 | ld -X    | 1 | 2
1001 000d dddd 1111 | pop      | 1 | 2
1001 001d dddd 0000 | sts      | 2 | 2
1001 001d dddd 0001 | st Z+    | 1 | 2
1001 001d dddd 0010 | st -Z    | 1 | 2
1001 001d dddd 1001 | st Y+    | 1 | 2
1001 001d dddd 1010 | st -Y    | 1 | 2
1001 001d dddd 1100 | st X     | 1 | 2
1001 001d dddd 1101 | st X+    | 1 | 2
1001 001d dddd 1110 | st -X    | 1 | 2
1001 001d dddd 1111 | push     | 1 | 2
1001 010d dddd 0000 | com      | 1 | 1
1001 010d dddd 0001 | neg      | 1 | 1
1001 010d dddd 0010 | swap     | 1 | 1
1001 010d dddd 0011 | inc      | 1 | 1
1001 010d dddd 0101 | asr      | 1 | 1
1001 010d dddd 0110 | lsr      | 1 | 1
1001 010d dddd 0111 | ror      | 1 | 1
1001 010d dddd 1010 | dec      | 1 | 1
1001 0100 0sss 1000 | bset     | 1 | 1
1001 0100 1sss 1000 | bclr     | 1 | 1
1001 0100 0000 1001 | ijmp     | 1 | 2
1001 0100 0001 1001 | eijmp    | 1 | 2     | EIJMP
1001 0101 0000 1000 | ret      | 1 | 4,5
1001 0101 0000 1001 | icall    | 1 | 3,4
1001 0101 0001 1000 | reti     | 1 | 4,5
1001 0101 0001 1001 | eicall   | 1 | 4     | EIJMP
1001 0101 1000 1000 | sleep    | 1 | 1
1001 0101 1001 1000 | break    | 1 | 1     | BREAK
1001 0101 1010 1000 | wdr      | 1 | 1
1001 0101 1100 1000 | lpm      | 1 | 3
1001 0101 1101 1000 | elpm     | 1 | 3     | ELPM
1001 0101 1110 1000 | spm      | 1 | 1     | SPM
1001 010k kkkk 110k | jmp      | 2 | 3     | JMP
1001 010k kkkk 111k | call     | 2 | 4,5   | JMP
1001 0110 KKdd KKKK | adiw     | 1 | 2
1001 0111 KKdd KKKK | sbiw     | 1 | 2
1001 1000 AAAA Abbb | cbi      | 1 | 2
1001 1001 AAAA Abbb | sbic     | 1 | 1/2/3
1001 1010 AAAA Abbb | sbi      | 1 | 2
1001 1011 AAAA Abbb | sbis     | 1 | 1/2/3
1001 11rd dddd rrrr | mul      | 1 | 2     | MUL
1011 0AAd dddd AAAA | in       | 1 | 1
1011 1AAd dddd AAAA | out      | 1 | 1
1100 kkkk kkkk kkkk | rjmp     | 1 | 2
1101 kkkk kkkk kkkk | rcall    | 1 | 3,4
1110 KKKK dddd KKKK | ldi      | 1 | 1
1111 00kk kkkk ksss | brbs     | 1 | 1/2
1111 01kk kkkk ksss | brbc     | 1 | 1/2
1111 100d dddd 0bbb | bld      | 1 | 1
1111 101d dddd 0bbb | bst      | 1 | 1
1111 110d dddd 0bbb | sbrc     | 1 | 1/2/3
1111 111d dddd 0bbb | sbrs     | 1 | 1/2/3
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; of each timing, the variant of a 16-bit and of a 22-bit PC."""

    bits: str
    mnemonic: str
    words: int
    timing: tuple[str, str]
    needs: str

    def cycles(self, device: Device) -> tuple[int, ...]:
        """Give the cycles on a device: not taken, taken, taken over two words."""
        return tuple(int(n) for n in self.timing[device.pc_bytes == 3].split("/"))

    def cost(self, device: Device) -> int:
        """Give the cycles on a device of an instruction without variants."""
        (cycles,) = self.cycles(device)
        return cycles

    def fields(self, opcode: int) -> dict[str, int]:
        """Give the operands of an opcode by their letters."""
        found: dict[str, int] = {}
        for n, letter in enumerate(self.bits):
            if letter not in "01":
                found[letter] = found.get(letter, 0) << 1 | opcode >> 15 - n & 1
        return found

    def encode(self, **operands: int) -> int:
        """Give the opcode with such operands, by their letters."""
        left, opcode = dict(operands), 0
        for n, letter in enumerate(reversed(self.bits)):
            bit = int(letter) if letter in "01" else left[letter] & 1
            if letter not in "01":
                left[letter] >>= 1
            opcode |= bit << n
        return opcode


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its data sheet has it.

    pc_bytes: what a call pushes. vector: byte address of timer 0's overflow interrupt; timer0: I/O
    addresses of TCCR0B and TCNT0, data address and bit of TOIE0.
    """

    name: str
    has: frozenset[str]
    flash_size: int
    ram: range
    pc_bytes: int
    vector: int
    timer0: tuple[int, int, int, int]

    @property
    def stack(self) -> int:
        """The topmost byte of RAM."""
        return self.ram[-1]

    @property
    def stack_floor(self) -> int:
        """The lowest byte of the stack that tests use."""
        return self.ram[-1] - 31

    @property
    def middle(self) -> int:
        """A RAM address with RAM enough around it."""
        return self.ram.start + 0x100


_TINY: Final = frozenset({"MOVW", "LPMX", "SPM", "BREAK"})
_MEGA: Final = _TINY | {"MUL", "JMP"}
_TIMER0: Final = (0x25, 0x26, 0x6E, 0)

DEVICES: Final[Mapping[str, Device]] = {
    device.name: device
    for device in (
        Device("atmega328p", _MEGA, 32 << 10, range(0x100, 0x900), 2, 0x40, _TIMER0),
        Device("atmega1284p", _MEGA | {"ELPM"}, 128 << 10, range(0x100, 0x4100), 2, 0x48, _TIMER0),
        Device(
            "atmega2560",
            _MEGA | {"ELPM", "EIJMP"},
            256 << 10,
            range(0x200, 0x2200),
            3,
            0x5C,
            _TIMER0,
        ),
        Device("attiny85", _TINY, 8 << 10, range(0x60, 0x260), 2, 0x0A, (0x33, 0x32, 0x59, 1)),
    )
}


def _read_table() -> Iterator[Row]:
    for line in _TABLE.strip().splitlines()[1:]:
        bits, mnemonic, words, timing, needs = [*map(str.strip, line.split("|")), ""][:5]
        narrow, _, wide = timing.partition(",")
        yield Row(bits.replace(" ", ""), mnemonic, int(words), (narrow, wide or narrow), needs)


ROWS: Final[Mapping[str, Row]] = {row.mnemonic: row for row in _read_table()}


@cache
def all_rows() -> tuple[Row | None, ...]:
    """Give the row of each of the 65,536 opcode values."""
    rows: list[Row | None] = [None] * 0x10000
    for row in ROWS.values():
        free = [15 - n for n, letter in enumerate(row.bits) if letter not in "01"]
        base = row.encode(**dict.fromkeys(set(row.bits) - {"0", "1"}, 0))
        for choice in range(1 << len(free)):
            opcode = base | sum((choice >> n & 1) << bit for n, bit in enumerate(free))
            if rows[opcode] is not None:
                raise ValueError(f"{opcode:#06x} is in two rows")
            rows[opcode] = row
    return tuple(rows)


def legal(device: Device) -> Iterator[tuple[int, Row]]:
    """Yield the opcode values that a device has."""
    for opcode, row in enumerate(all_rows()):
        if row and (not row.needs or row.needs in device.has):
            yield opcode, row


def encode(mnemonic: str, **operands: int) -> int:
    """Give an opcode by its mnemonic and the letters of its operands."""
    return ROWS[mnemonic].encode(**operands)


def cost(device: Device, opcode: int) -> int:
    """Give the cycles of an opcode without variants."""
    row = all_rows()[opcode]
    if row is None:
        raise ValueError(f"{opcode:#06x} is reserved")
    return row.cost(device)


def to_bytes(words: list[int] | tuple[int, ...]) -> bytes:
    """Give words as flash holds them."""
    return b"".join(word.to_bytes(2, "little") for word in words)
