"""What each Z80 instruction does to registers, flags and memory, from the manual (UM0080).

Opcodes are taken apart as octal digits, x y z. Control flow, ports, I and R are not here. Of the
flags, those that the manual defines: `defined_flags`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from z80_table import INDEX, decode

S, Z, H, P, N, C = 0x80, 0x40, 0x10, 0x04, 0x02, 0x01
R8: Final = ("b", "c", "d", "e", "h", "l", "(hl)", "a")
R16: Final = ("bc", "de", "hl", "sp")
STACKED: Final = ("bc", "de", "hl", "af")
BYTES: Final = (*"bcdehla", "f", "ixh", "ixl", "iyh", "iyl")
INDEXES: Final = {0xDD: "ix", 0xFD: "iy"}


class OutsideError(Exception):
    """The instruction accesses memory that the test does not watch."""


@dataclass
class State:
    """Registers by name: bytes, SP and the alternates (`bc'`, 16 bits); the watched memory."""

    r: dict[str, int]
    memory: bytearray
    base: int

    def pair(self, name: str) -> int:
        """Give a 16-bit register."""
        if name == "sp":
            return self.r["sp"]
        high, low = halves(name)
        return self.r[high] << 8 | self.r[low]

    def set_pair(self, name: str, value: int) -> None:
        """Set a 16-bit register."""
        if name == "sp":
            self.r["sp"] = value & 0xFFFF
        else:
            high, low = halves(name)
            self.r[high], self.r[low] = value >> 8 & 0xFF, value & 0xFF

    def load(self, address: int) -> int:
        """Read a byte of memory."""
        return self.memory[self._watched(address)]

    def store(self, address: int, value: int) -> None:
        """Write a byte of memory."""
        self.memory[self._watched(address)] = value & 0xFF

    def load_word(self, address: int) -> int:
        """Read a word, the low byte first."""
        return self.load(address) | self.load(address + 1) << 8

    def store_word(self, address: int, value: int) -> None:
        """Write a word, the low byte first."""
        self.store(address, value)
        self.store(address + 1, value >> 8)

    def push(self, value: int) -> None:
        """Push a word."""
        self.r["sp"] = self.r["sp"] - 2 & 0xFFFF
        self.store_word(self.r["sp"], value)

    def pop(self) -> int:
        """Pop a word."""
        value = self.load_word(self.r["sp"])
        self.r["sp"] = self.r["sp"] + 2 & 0xFFFF
        return value

    def set_flags(self, keep: int, value: int) -> None:
        """Replace all flags but those to keep."""
        self.r["f"] = self.r["f"] & keep | value & ~keep

    def _watched(self, address: int) -> int:
        if not 0 <= address - self.base < len(self.memory):
            raise OutsideError
        return address - self.base


def halves(pair: str) -> tuple[str, str]:
    """Give the names of a pair's halves."""
    return (pair + "h", pair + "l") if pair in ("ix", "iy") else (pair[0], pair[1])


@dataclass(frozen=True)
class Operands:
    """What the prefix and the operands make of an opcode.

    hl: the pair that stands for HL; number: n or nn; displacement: None without one.
    """

    hl: str = "hl"
    number: int = 0
    displacement: int | None = None

    def address(self, s: State) -> int:
        """Give the address in (HL), (IX+d) or (IY+d)."""
        return s.pair(self.hl) + (self.displacement or 0) & 0xFFFF

    def pair(self, name: str) -> str:
        """Give the pair meant by a name."""
        return self.hl if name == "hl" else name

    def get(self, s: State, n: int) -> int:
        """Read an 8-bit operand by its number."""
        name = self._name(n)
        return s.load(self.address(s)) if name == "(hl)" else s.r[name]

    def set(self, s: State, n: int, value: int) -> None:
        """Write an 8-bit operand by its number."""
        name = self._name(n)
        if name == "(hl)":
            s.store(self.address(s), value)
        else:
            s.r[name] = value & 0xFF

    def _name(self, n: int) -> str:
        """Beside (IX+d), H and L are themselves."""
        name = R8[n]
        if name in ("h", "l") and self.hl != "hl" and self.displacement is None:
            return self.hl + name
        return name


# ---- flags -------------------------------------------------------------------------------------


def sign_zero(value: int) -> int:
    """Give S and Z of a byte."""
    return value & S | (Z if value & 0xFF == 0 else 0)


def parity(value: int) -> int:
    """Give P of a byte: set if even."""
    return 0 if value.bit_count() % 2 else P


def where(flag: int, condition: object) -> int:
    """Give the flag if the condition holds."""
    return flag if condition else 0


def add(s: State, one: int, other: int, carry: int) -> int:
    """Add bytes with all flags."""
    result = one + other + carry & 0xFF
    overflow = ~(one ^ other) & (one ^ result) & 0x80
    half = (one & 0xF) + (other & 0xF) + carry > 0xF
    carried = one + other + carry > 0xFF
    s.r["f"] = sign_zero(result) | where(H, half) | where(P, overflow) | where(C, carried)
    return result


def sub(s: State, one: int, other: int, carry: int) -> int:
    """Subtract bytes with all flags."""
    result = one - other - carry & 0xFF
    overflow = (one ^ other) & (one ^ result) & 0x80
    half = (one & 0xF) - (other & 0xF) - carry < 0
    borrowed = one - other - carry < 0
    s.r["f"] = sign_zero(result) | where(H, half) | where(P, overflow) | N | where(C, borrowed)
    return result


def logic(s: State, result: int, half: int) -> int:
    """Set the flags of AND (H set), OR and XOR."""
    s.r["f"] = sign_zero(result) | parity(result) | half
    return result


def alu(s: State, operation: int, value: int) -> None:
    """ADD ADC SUB SBC AND XOR OR CP of A and a value."""
    a, carry = s.r["a"], s.r["f"] & C
    result = (
        lambda: add(s, a, value, 0),
        lambda: add(s, a, value, carry),
        lambda: sub(s, a, value, 0),
        lambda: sub(s, a, value, carry),
        lambda: logic(s, a & value, H),
        lambda: logic(s, a ^ value, 0),
        lambda: logic(s, a | value, 0),
        lambda: sub(s, a, value, 0),
    )[operation]()
    if operation != 7:
        s.r["a"] = result


def step_byte(s: State, value: int, step: int) -> int:
    """INC and DEC of a byte; C stays."""
    result = value + step & 0xFF
    half = value & 0xF == (0xF if step > 0 else 0)
    overflow = value == (0x7F if step > 0 else 0x80)
    flags = sign_zero(result) | where(H, half) | where(P, overflow) | where(N, step < 0)
    s.set_flags(C, flags)
    return result


def rotate(s: State, operation: int, value: int) -> tuple[int, int]:
    """RLC RRC RL RR SLA SRA SLL SRL; give the result and C."""
    carry, high, low = s.r["f"] & C, value >> 7, value & 1
    left, right = value << 1 & 0xFF, value >> 1
    result = (
        *(left | high, right | low << 7, left | carry, right | carry << 7),
        *(left, right | value & 0x80, left | 1, right),
    )[operation]
    return result, low if operation % 2 else high


# ---- groups of opcodes -------------------------------------------------------------------------


def accumulator(s: State, y: int) -> None:
    """RLCA RRCA RLA RRA DAA CPL SCF CCF."""
    a, f = s.r["a"], s.r["f"]
    if y < 4:
        s.r["a"], carry = rotate(s, y, a)
        s.set_flags(S | Z | P, carry)
    elif y == 4:
        daa(s)
    elif y == 5:
        s.r["a"] = 0xFF - a
        s.set_flags(S | Z | P | C, H | N)
    elif y == 6:
        s.set_flags(S | Z | P, C)
    else:
        s.set_flags(S | Z | P, where(H, f & C) | where(C, not f & C))


def daa(s: State) -> None:
    """Correct A after an addition or subtraction of decimal digits."""
    a, f = s.r["a"], s.r["f"]
    low = 6 if f & H or a & 0xF > 9 else 0
    high = 0x60 if f & C or a > 0x99 else 0
    result = (a - low - high if f & N else a + low + high) & 0xFF
    half = f & H and a & 0xF < 6 if f & N else a & 0xF > 9
    flags = sign_zero(result) | parity(result) | where(H, half) | f & N | where(C, high)
    s.r["a"], s.r["f"] = result, flags


def add_pair(s: State, o: Operands, value: int) -> None:
    """ADD HL,rr: H is the carry out of bit 11; S, Z and P/V stay."""
    one = s.pair(o.hl)
    s.set_pair(o.hl, one + value)
    half = (one & 0xFFF) + (value & 0xFFF) > 0xFFF
    s.set_flags(S | Z | P, where(H, half) | where(C, one + value > 0xFFFF))


def carry_pair(s: State, value: int, subtract: bool) -> None:
    """ADC and SBC HL,rr: the high bytes' flags, but Z of all 16 bits."""
    one = s.pair("hl")
    operation = sub if subtract else add
    low = operation(s, one & 0xFF, value & 0xFF, s.r["f"] & C)
    high = operation(s, one >> 8, value >> 8, s.r["f"] & C)
    s.set_pair("hl", high << 8 | low)
    s.set_flags(0xFF & ~Z, where(Z, not high | low))


def memory_forms(s: State, o: Operands, y: int) -> None:
    """LD with (BC), (DE) or (nn): x = 0, z = 2."""
    store, where_to = not y & 1, y >> 1
    if where_to == 2:
        if store:
            s.store_word(o.number, s.pair(o.hl))
        else:
            s.set_pair(o.hl, s.load_word(o.number))
        return
    address = o.number if where_to == 3 else s.pair(R16[where_to])
    if store:
        s.store(address, s.r["a"])
    else:
        s.r["a"] = s.load(address)


def plain_0(s: State, o: Operands, y: int, z: int) -> None:
    """Opcodes 0x00 to 0x3F."""
    pair = o.pair(R16[y >> 1])
    if z == 0:
        if y == 1:
            swap(s, "af")
    elif z == 1 and y & 1:
        add_pair(s, o, s.pair(pair))
    elif z == 1:
        s.set_pair(pair, o.number)
    elif z == 2:
        memory_forms(s, o, y)
    elif z == 3:
        s.set_pair(pair, s.pair(pair) + (-1 if y & 1 else 1))
    elif z in (4, 5):
        o.set(s, y, step_byte(s, o.get(s, y), 1 if z == 4 else -1))
    elif z == 6:
        o.set(s, y, o.number)
    else:
        accumulator(s, y)


def swap(s: State, pair: str) -> None:
    """Exchange a pair with its alternate."""
    value = s.pair(pair)
    s.set_pair(pair, s.r[pair + "'"])
    s.r[pair + "'"] = value


def plain_3(s: State, o: Operands, opcode: int) -> None:
    """Opcodes 0xC0 to 0xFF that are not jumps."""
    y, z = opcode >> 3 & 7, opcode & 7
    if z == 6:
        alu(s, y, o.number)
    elif z == 5:
        s.push(s.pair(o.pair(STACKED[y >> 1])))
    elif opcode == 0xD9:
        for pair in ("bc", "de", "hl"):
            swap(s, pair)
    elif opcode == 0xF9:
        s.r["sp"] = s.pair(o.hl)
    elif z == 1:
        s.set_pair(o.pair(STACKED[y >> 1]), s.pop())
    elif opcode == 0xE3:
        value = s.load_word(s.r["sp"])
        s.store_word(s.r["sp"], s.pair(o.hl))
        s.set_pair(o.hl, value)
    elif opcode == 0xEB:
        de = s.pair("de")
        s.set_pair("de", s.pair("hl"))
        s.set_pair("hl", de)
    else:
        raise NotImplementedError(f"{opcode:#04x}")


def plain(s: State, o: Operands, opcode: int) -> None:
    """Opcodes without CB or ED."""
    x, y, z = opcode >> 6, opcode >> 3 & 7, opcode & 7
    if x == 0:
        plain_0(s, o, y, z)
    elif x == 1:
        o.set(s, y, o.get(s, z))
    elif x == 2:
        alu(s, y, o.get(s, z))
    else:
        plain_3(s, o, opcode)


def bits(s: State, o: Operands, opcode: int) -> None:
    """Opcodes after CB; after DDCB and FDCB, the result goes to a register, too."""
    x, y, z = opcode >> 6, opcode >> 3 & 7, opcode & 7
    source = z if o.displacement is None else 6
    value = o.get(s, source)
    if x == 0:
        result, carry = rotate(s, y, value)
        s.r["f"] = sign_zero(result) | parity(result) | carry
    elif x == 1:
        s.set_flags(C, H | where(Z, not value >> y & 1))
        return
    else:
        result = value & ~(1 << y) if x == 2 else value | 1 << y
    o.set(s, source, result)
    if z != source:
        o.set(s, z, result)


def digits(s: State, left: bool) -> None:
    """RLD and RRD: rotate three digits, of (HL) and the lower one of A."""
    a, value = s.r["a"], s.load(s.pair("hl"))
    three = (a & 0xF) << 8 | value
    three = three << 4 & 0xFFF | three >> 8 if left else three >> 4 | (three & 0xF) << 8
    s.store(s.pair("hl"), three & 0xFF)
    s.r["a"] = a & 0xF0 | three >> 8
    s.set_flags(C, sign_zero(s.r["a"]) | parity(s.r["a"]))


def block(s: State, y: int, compare: bool) -> None:
    """LDI LDD LDIR LDDR CPI CPD CPIR CPDR, all rounds."""
    step = -1 if y & 1 else 1
    while True:
        value = s.load(s.pair("hl"))
        s.set_pair("hl", s.pair("hl") + step)
        s.set_pair("bc", s.pair("bc") - 1)
        more = s.pair("bc") != 0
        if compare:
            carry = s.r["f"] & C
            sub(s, s.r["a"], value, 0)
            s.set_flags(S | Z | H | N, where(P, more) | carry)
            more = more and not s.r["f"] & Z
        else:
            s.store(s.pair("de"), value)
            s.set_pair("de", s.pair("de") + step)
            s.set_flags(S | Z | C, where(P, more))
        if y < 6 or not more:
            return


def extended(s: State, o: Operands, opcode: int) -> None:
    """Opcodes after ED."""
    x, y, z = opcode >> 6, opcode >> 3 & 7, opcode & 7
    pair = R16[y >> 1]
    if x == 1 and z == 2:
        carry_pair(s, s.pair(pair), subtract=not y & 1)
    elif x == 1 and z == 3 and y & 1:
        s.set_pair(pair, s.load_word(o.number))
    elif x == 1 and z == 3:
        s.store_word(o.number, s.pair(pair))
    elif x == 1 and z == 4:
        s.r["a"] = sub(s, 0, s.r["a"], 0)
    elif opcode in (0x67, 0x6F):
        digits(s, left=opcode == 0x6F)
    elif x == 2 and y >= 4 and z < 2:
        block(s, y, compare=z == 1)
    elif decode(bytes([0xED, opcode]))[0].mnemonic != "nop":
        raise NotImplementedError(f"ed {opcode:#04x}")


def execute(s: State, code: bytes) -> None:
    """Execute an instruction, all rounds of it if it repeats."""
    if code[0] == 0xCB:
        return bits(s, Operands(), code[1])
    if code[0] == 0xED:
        return extended(s, Operands(number=int.from_bytes(code[2:], "little")), code[1])
    if code[0] not in INDEXES:
        return plain(s, Operands(number=int.from_bytes(code[1:], "little")), code[0])
    hl = INDEXES[code[0]]
    if code[1] == 0xCB:
        return bits(s, Operands(hl, 0, signed(code[2])), code[3])
    if code[1] not in INDEX:
        return execute(s, code[1:])
    has_displacement = code[1] in (0x34, 0x35, 0x36) or (
        0x40 <= code[1] < 0xC0 and (code[1] & 7 == 6 or 0x70 <= code[1] < 0x78)
    )
    displacement = signed(code[2]) if has_displacement else None
    number = int.from_bytes(code[2 + has_displacement :], "little")
    return plain(s, Operands(hl, number, displacement), code[1])


def signed(value: int) -> int:
    """Read a byte as two's complement."""
    return value - 0x100 if value & 0x80 else value


def defined_flags(mnemonic: str) -> int:
    """Give the flags that the manual defines after an instruction; it leaves BIT's S and P/V."""
    return Z | H | N | C if mnemonic == "bit" else S | Z | H | P | N | C
