"""Requantization's rare ways on Z80: 32-bit accumulators, and products of up to 48 bits.

Slow and small: a loop of 16 or 8 steps of about 110 T, then all bytes in registers of the main set,
which are dropped, shifted and at last narrowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kernels.asm import Assembly


@dataclass
class Wide:
    """A value of `size` bytes in HL, in A:HL, or with its upper half in HL'.

    bytes: the registers that hold it, the lowest first, once it is spread. has_room: whether it may
    grow by one; of products the multiplier leaves so much.
    """

    out: Assembly
    prefix: str
    size: int
    bytes: list[str] = field(default_factory=list)
    has_room: bool = False

    @property
    def loop(self) -> str:
        """The label of the multiplication's loop, one turn a bit of the multiplier."""
        return f"{self.prefix}_multiply"

    def multiply(self, offset: int, size: int, signed: bool) -> None:
        """By the unsigned multiplier at IX + offset, of one or two bytes.

        Each step adds the multiplicand, DE':DE, to the upper half of the product and shifts all of
        it right, through the multiplier, of which one bit falls out.
        """
        self._extend()
        two = size == 2
        loop = self.loop
        self.out.emit(f"""
            ex de,hl
            ld hl,0
            exx
            ex de,hl
            ld hl,0
            exx
            ld c,(ix+{offset})
            {f"ld b,(ix+{offset + 1})" if two else ""}
            ld a,{8 * size}
            {"srl b" if two else "srl c"}
            {"rr c" if two else ""}
        {loop}:
            jr nc,{loop}_zero
            add hl,de
            exx
            adc hl,de
            exx
        {loop}_zero:
            exx
            rr h
            rr l
            exx
            rr h
            rr l
            {"rr b" if two else ""}
            rr c
            dec a
            jr nz,{loop}
        """)
        if signed:
            self._take_sign_off(offset, two=two)
        self._spread()
        self.has_room = True
        self.bytes = ["c", *(["b"] if two else []), *self.bytes]

    def _take_sign_off(self, offset: int, *, two: bool) -> None:
        """A negative multiplicand was taken for itself plus 2**32."""
        label = f"{self.prefix}_unsigned"
        top = f"ld a,h\nsub (ix+{offset})\nld h,a"
        if two:
            top = f"ld e,(ix+{offset})\nld d,(ix+{offset + 1})\nor a\nsbc hl,de"
        self.out.emit(f"exx\nbit 7,d\njr z,{label}\n{top}\n{label}:\nexx")

    def _extend(self) -> None:
        """Sign-extend to 32 bits."""
        if self.size == 2:
            self.out.emit("ld a,h\nrla\nsbc a,a\nexx\nld h,a\nld l,a\nexx")
        elif self.size == 3:
            self.out.emit("exx\nld l,a\nrla\nsbc a,a\nld h,a\nexx")
        self.size = 4

    def _spread(self) -> None:
        """All bytes to registers of the main set."""
        if self.size == 3:
            self.out.emit("ld e,a")
        elif self.size == 4:
            self.out.emit("exx\nld a,h\nexx\nld d,a\nexx\nld a,l\nexx\nld e,a")
        self.bytes = ["l", "h", "e", "d"][: self.size]

    def shift_right(self, shift: int, *, rounded: bool) -> None:
        """Drop bits; rounded: the highest one that is dropped is added."""
        if not self.bytes:
            self._spread()
        count, bits = divmod(shift, 8)
        if rounded and not bits and not self.has_room:
            self._lengthen()
        while len(self.bytes) < count + 2:
            self._lengthen()
        dropped, self.bytes = self.bytes[:count], self.bytes[count:]
        if rounded and not bits:
            self.out.emit(f"ld a,{dropped[-1]}\nrla")
        right = "".join(f"rr {register}\n" for register in reversed(self.bytes[:-1]))
        self.out.emit(f"sra {self.bytes[-1]}\n{right}" * bits)
        if rounded:
            end = f"{self.prefix}_rounded"
            self.out.emit(f"jr nc,{end}")
            for register in self.bytes[:-1]:
                self.out.emit(f"inc {register}\njr nz,{end}")
            self.out.emit(f"inc {self.bytes[-1]}\n{end}:")

    def _lengthen(self) -> None:
        """One more byte of sign."""
        register = next(name for name in "edbc" if name not in self.bytes)
        self.out.emit(f"ld a,{self.bytes[-1]}\nrla\nsbc a,a\nld {register},a")
        self.bytes.append(register)

    def narrow(self) -> int:
        """To HL, or to A:HL within +-0x40ffff, beyond which only the sign counts; its bytes."""
        low, high, *rest = self.bytes
        if rest:
            saturated, fits = f"{self.prefix}_tamed", f"{self.prefix}_fits"
            self.out.emit(f"ld a,{rest[-1]}\nrla\nsbc a,a")
            for register in rest[1:]:
                self.out.emit(f"cp {register}\njr nz,{saturated}")
            self.out.emit(f"""
                cp {rest[0]}
                jr z,{fits}
            {saturated}:
                and 0x80
                or 0x40
            {fits}:
            """)
        moves = [f"ld h,{high}" if high != "h" else "", f"ld l,{low}" if low != "l" else ""]
        self.out.emit("\n".join(reversed(moves) if low == "h" else moves))
        return 3 if rest else 2
