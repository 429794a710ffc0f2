"""What each AVR instruction does to registers, flags and memory, from the manual (DS40002198).

One function per instruction, in the manual's terms: Rd, Rr, K, and flags as expressions of the
result. Control flow is not here; see test_avr_timing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from avr_table import all_rows

FLAGS: Final = "CZNVSHTI"  # in the order of their bits in SREG
X, Y, Z = 26, 28, 30
SPL, SPH, SREG, RAMPZ = 0x5D, 0x5E, 0x5F, 0x5B  # data addresses


@dataclass
class State:
    """A CPU with its data space; registers are not part of the latter. flash: bytes."""

    r: list[int]
    flags: dict[str, int]
    sp: int
    rampz: int
    memory: bytearray
    flash: bytes = field(repr=False)

    @property
    def sreg(self) -> int:
        """The flags as a byte."""
        return sum(self.flags[flag] << n for n, flag in enumerate(FLAGS))

    @sreg.setter
    def sreg(self, value: int) -> None:
        self.flags = {flag: value >> n & 1 for n, flag in enumerate(FLAGS)}

    def word(self, low: int) -> int:
        """Give a register pair."""
        return self.r[low] | self.r[low + 1] << 8

    def set_word(self, low: int, value: int) -> None:
        """Set a register pair."""
        self.r[low], self.r[low + 1] = value & 0xFF, value >> 8 & 0xFF

    def set_flags(self, **values: object) -> None:
        """Set flags by the truth of expressions; S is N xor V wherever N or V is given."""
        self.flags |= {flag: int(bool(value)) for flag, value in values.items()}
        if "N" in values or "V" in values:
            self.flags["S"] = self.flags["N"] ^ self.flags["V"]


@dataclass(frozen=True)
class Operands:
    """The fields of an opcode, and the second word if it has one."""

    fields: dict[str, int]
    second: int

    def __getattr__(self, letter: str) -> int:
        return self.fields[letter]


Semantics = Callable[[State, Operands], None]


def bit(value: int, n: int) -> int:
    """Give one bit."""
    return value >> n & 1


# ---- flags -----------------------------------------------------------------------------------


def logic_flags(s: State, result: int) -> None:
    """Set the flags of AND, OR and EOR."""
    s.set_flags(V=0, N=bit(result, 7), Z=result == 0)


def add_flags(s: State, d: int, r: int, carry: int) -> int:
    """Add bytes, set the flags, give the result."""
    result = d + r + carry & 0xFF
    s.set_flags(
        H=(d & 0xF) + (r & 0xF) + carry > 0xF,
        C=d + r + carry > 0xFF,
        N=bit(result, 7),
        V=bit(d, 7) == bit(r, 7) != bit(result, 7),
        Z=result == 0,
    )
    return result


def sub_flags(s: State, d: int, r: int, carry: int = 0, keep_z: bool = False) -> int:
    """Subtract bytes, set the flags, give the result; Z can only be cleared if `keep_z`."""
    result = d - r - carry & 0xFF
    s.set_flags(
        H=(d & 0xF) - (r & 0xF) - carry < 0,
        C=d - r - carry < 0,
        N=bit(result, 7),
        V=bit(d, 7) != bit(r, 7) == bit(result, 7),
        Z=result == 0 and (s.flags["Z"] or not keep_z),
    )
    return result


def shift_flags(s: State, result: int, out: int) -> None:
    """Set the flags of a shift to the right: V is N xor C after the shift."""
    s.set_flags(C=out, N=bit(result, 7), Z=result == 0, V=bit(result, 7) ^ out)


# ---- two registers, or a register and a constant -----------------------------------------------

Alu = Callable[[State, int, int], "int | None"]


def two(alu: Alu) -> Semantics:
    """Make an instruction on Rd and Rr; what gives None only compares."""

    def run(s: State, o: Operands) -> None:
        result = alu(s, s.r[o.d], s.r[o.r])
        if result is not None:
            s.r[o.d] = result

    return run


def immediate(alu: Alu) -> Semantics:
    """Make an instruction on R16-R31 and K."""

    def run(s: State, o: Operands) -> None:
        result = alu(s, s.r[16 + o.d], o.K)
        if result is not None:
            s.r[16 + o.d] = result

    return run


def add(s: State, d: int, r: int) -> int:
    return add_flags(s, d, r, 0)


def adc(s: State, d: int, r: int) -> int:
    return add_flags(s, d, r, s.flags["C"])


def sub(s: State, d: int, r: int) -> int:
    return sub_flags(s, d, r)


def sbc(s: State, d: int, r: int) -> int:
    return sub_flags(s, d, r, s.flags["C"], keep_z=True)


def compare(s: State, d: int, r: int) -> None:
    sub(s, d, r)


def compare_with_carry(s: State, d: int, r: int) -> None:
    sbc(s, d, r)


def and_(s: State, d: int, r: int) -> int:
    logic_flags(s, d & r)
    return d & r


def or_(s: State, d: int, r: int) -> int:
    logic_flags(s, d | r)
    return d | r


def eor(s: State, d: int, r: int) -> int:
    logic_flags(s, d ^ r)
    return d ^ r


def mov(_: State, _d: int, r: int) -> int:
    return r


# ---- one register ------------------------------------------------------------------------------


def one(unary: Callable[[State, int], int]) -> Semantics:
    """Make an instruction on Rd."""

    def run(s: State, o: Operands) -> None:
        s.r[o.d] = unary(s, s.r[o.d])

    return run


def com(s: State, d: int) -> int:
    logic_flags(s, 0xFF - d)
    s.set_flags(C=1)
    return 0xFF - d


def neg(s: State, d: int) -> int:
    result = -d & 0xFF
    s.set_flags(
        H=bit(result, 3) | bit(d, 3),
        C=result != 0,
        N=bit(result, 7),
        V=result == 0x80,
        Z=result == 0,
    )
    return result


def inc(s: State, d: int) -> int:
    result = d + 1 & 0xFF
    s.set_flags(V=d == 0x7F, N=bit(result, 7), Z=result == 0)
    return result


def dec(s: State, d: int) -> int:
    result = d - 1 & 0xFF
    s.set_flags(V=d == 0x80, N=bit(result, 7), Z=result == 0)
    return result


def lsr(s: State, d: int) -> int:
    shift_flags(s, d >> 1, d & 1)
    return d >> 1


def ror(s: State, d: int) -> int:
    result = d >> 1 | s.flags["C"] << 7
    shift_flags(s, result, d & 1)
    return result


def asr(s: State, d: int) -> int:
    result = d >> 1 | d & 0x80
    shift_flags(s, result, d & 1)
    return result


def swap(_: State, d: int) -> int:
    return d >> 4 | (d & 0xF) << 4


# ---- words and products ------------------------------------------------------------------------


def movw(s: State, o: Operands) -> None:
    s.set_word(2 * o.d, s.word(2 * o.r))


def adiw(s: State, o: Operands) -> None:
    low = 24 + 2 * o.d
    d = s.word(low)
    result = d + o.K & 0xFFFF
    s.set_word(low, result)
    s.set_flags(
        V=not bit(d, 15) and bit(result, 15),
        N=bit(result, 15),
        Z=result == 0,
        C=d + o.K > 0xFFFF,
    )


def sbiw(s: State, o: Operands) -> None:
    low = 24 + 2 * o.d
    d = s.word(low)
    result = d - o.K & 0xFFFF
    s.set_word(low, result)
    s.set_flags(V=bit(d, 15) and not bit(result, 15), N=bit(result, 15), Z=result == 0, C=d < o.K)


def signed(value: int) -> int:
    """Read a byte as two's complement."""
    return value - 0x100 if value & 0x80 else value


def unsigned(value: int) -> int:
    """Read a byte as it is."""
    return value


def product(
    base: int, read_d: Callable[[int], int], read_r: Callable[[int], int], shift: int
) -> Semantics:
    """Make a multiplication; C is the product's bit 15, before the shift of a fractional one."""

    def run(s: State, o: Operands) -> None:
        whole = read_d(s.r[base + o.d]) * read_r(s.r[base + o.r]) & 0xFFFF
        result = whole << shift & 0xFFFF
        s.set_word(0, result)
        s.set_flags(C=bit(whole, 15), Z=result == 0)

    return run


# ---- memory ------------------------------------------------------------------------------------


def address(s: State, low: int, step: str) -> int:
    """Give the address in a pointer, stepping it first (`-`) or afterwards (`+`)."""
    pointer = s.word(low)
    if step == "-":
        pointer = pointer - 1 & 0xFFFF
    s.set_word(low, pointer + (step == "+"))
    return pointer


def ld(low: int, step: str = "") -> Semantics:
    """Make a load through a pointer."""

    def run(s: State, o: Operands) -> None:
        value = s.memory[address(s, low, step)]
        s.r[o.d] = value

    return run


def st(low: int, step: str = "") -> Semantics:
    """Make a store through a pointer."""

    def run(s: State, o: Operands) -> None:
        value = s.r[o.d]
        s.memory[address(s, low, step)] = value

    return run


def ldd(s: State, o: Operands) -> None:
    s.r[o.d] = s.memory[s.word(Y if o.p else Z) + o.q]


def std(s: State, o: Operands) -> None:
    s.memory[s.word(Y if o.p else Z) + o.q] = s.r[o.d]


def lds(s: State, o: Operands) -> None:
    s.r[o.d] = s.memory[o.second]


def sts(s: State, o: Operands) -> None:
    s.memory[o.second] = s.r[o.d]


def push(s: State, o: Operands) -> None:
    s.memory[s.sp] = s.r[o.d]
    s.sp -= 1


def pop(s: State, o: Operands) -> None:
    s.sp += 1
    s.r[o.d] = s.memory[s.sp]


def lpm(extended: bool, step: str = "", to_r0: bool = False) -> Semantics:
    """Make a load from flash, whose address RAMPZ extends or not."""

    def run(s: State, o: Operands) -> None:
        pointer = s.word(Z) | (s.rampz << 16 if extended else 0)
        if step:
            s.set_word(Z, pointer + 1)
            s.rampz = pointer + 1 >> 16 if extended else s.rampz
        s.r[0 if to_r0 else o.d] = s.flash[pointer]

    return run


# ---- bits and ports ----------------------------------------------------------------------------


def bld(s: State, o: Operands) -> None:
    s.r[o.d] = s.r[o.d] & ~(1 << o.b) | s.flags["T"] << o.b


def bst(s: State, o: Operands) -> None:
    s.flags["T"] = bit(s.r[o.d], o.b)


def bset(s: State, o: Operands) -> None:
    s.flags[FLAGS[o.s]] = 1


def bclr(s: State, o: Operands) -> None:
    s.flags[FLAGS[o.s]] = 0


def in_(s: State, o: Operands) -> None:
    port = 0x20 + o.A
    special = {SREG: s.sreg, SPL: s.sp & 0xFF, SPH: s.sp >> 8, RAMPZ: s.rampz}
    s.r[o.d] = special.get(port, s.memory[port])


def out(s: State, o: Operands) -> None:
    port, value = 0x20 + o.A, s.r[o.d]
    if port == SREG:
        s.sreg = value
    else:
        s.memory[port] = value


def sbi(s: State, o: Operands) -> None:
    s.memory[0x20 + o.A] |= 1 << o.b


def cbi(s: State, o: Operands) -> None:
    s.memory[0x20 + o.A] &= ~(1 << o.b) & 0xFF


def nothing(_: State, _o: Operands) -> None:
    """Do nothing that can be seen here."""


MODEL: Final[dict[str, Semantics]] = {
    **{"add": two(add), "adc": two(adc), "sub": two(sub), "sbc": two(sbc)},
    **{"and": two(and_), "or": two(or_), "eor": two(eor), "mov": two(mov)},
    **{"cp": two(compare), "cpc": two(compare_with_carry)},
    **{"subi": immediate(sub), "sbci": immediate(sbc), "cpi": immediate(compare)},
    **{"andi": immediate(and_), "ori": immediate(or_), "ldi": immediate(mov)},
    **{"com": one(com), "neg": one(neg), "inc": one(inc), "dec": one(dec)},
    **{"lsr": one(lsr), "ror": one(ror), "asr": one(asr), "swap": one(swap)},
    **{"movw": movw, "adiw": adiw, "sbiw": sbiw},
    "mul": product(0, unsigned, unsigned, 0),
    "muls": product(16, signed, signed, 0),
    "mulsu": product(16, signed, unsigned, 0),
    "fmul": product(16, unsigned, unsigned, 1),
    "fmuls": product(16, signed, signed, 1),
    "fmulsu": product(16, signed, unsigned, 1),
    **{"ld X": ld(X), "ld X+": ld(X, "+"), "ld -X": ld(X, "-")},
    **{"ld Y+": ld(Y, "+"), "ld -Y": ld(Y, "-"), "ld Z+": ld(Z, "+"), "ld -Z": ld(Z, "-")},
    **{"st X": st(X), "st X+": st(X, "+"), "st -X": st(X, "-")},
    **{"st Y+": st(Y, "+"), "st -Y": st(Y, "-"), "st Z+": st(Z, "+"), "st -Z": st(Z, "-")},
    **{"ldd": ldd, "std": std, "lds": lds, "sts": sts, "push": push, "pop": pop},
    **{"lpm": lpm(False, to_r0=True), "lpm Z": lpm(False), "lpm Z+": lpm(False, "+")},
    **{"elpm": lpm(True, to_r0=True), "elpm Z": lpm(True), "elpm Z+": lpm(True, "+")},
    **{"bld": bld, "bst": bst, "bset": bset, "bclr": bclr},
    **{"in": in_, "out": out, "sbi": sbi, "cbi": cbi, "nop": nothing, "wdr": nothing},
}


def execute(state: State, opcode: int, second: int = 0) -> None:
    """Execute one instruction on a state."""
    row = all_rows()[opcode]
    if row is None:
        raise ValueError(f"{opcode:#06x} is reserved")
    MODEL[row.mnemonic](state, Operands(row.fields(opcode), second))
