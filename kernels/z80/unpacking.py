"""Rows of packed weights on Z80, unpacked into SRAM as bytes w + 128, two apart.

A row is stored as a block of its own, in which a byte holds weights of neighbouring inputs: to the
encoding they are the outputs of a block with fewer inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kernels.encodings import bitmap, packed1, packed2, packed4
from kernels.encodings.dense8 import OFFSET

Row = NDArray[np.int8]


class Unpacking(Protocol):
    """How one encoding's rows are stored and unpacked. per_byte: weights in a byte."""

    @property
    def per_byte(self) -> int:
        """Weights in a byte of the row; inputs are filled up to a multiple of it."""

    def store(self, row: Row) -> NDArray[np.uint8]:
        """One row, int8 (inputs,), as bytes."""

    def code(self, label: str, bytes_in_row: int) -> str:
        """Unpack the row at DE to HL, every other byte, and leave DE behind it; a turn a byte.

        May use every register of the set, IX and IY, but not the stack.
        """


def _as_block(row: Row, per_byte: int) -> Row:
    """int8 (per_byte, bytes): neighbouring inputs stand where a block has outputs."""
    fill = np.full(-len(row) % per_byte, row[-1], np.int8)
    return np.concatenate([row, fill]).reshape(-1, per_byte).T


def _repeat(label: str, count: int, body: str) -> str:
    """A loop of `count` rounds, counted in IX."""
    rounds, more = count & 0xFF, -(-count // 256)
    return (
        f"ld ixh,{more}\nld ixl,{rounds}\n{label}:\n{body}\ndec ixl\njp nz,{label}\n"
        f"dec ixh\njp nz,{label}\n"
    )


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of `bits` bits, the first in the lowest ones; `to_byte` makes one in A w + 128."""

    encode: Callable[[Row], NDArray[np.uint8]]
    bits: int
    to_byte: str

    @property
    def per_byte(self) -> int:
        """Weights in a byte."""
        return 8 // self.bits

    def store(self, row: Row) -> NDArray[np.uint8]:
        """One row as bytes."""
        return self.encode(_as_block(row, self.per_byte))

    def code(self, label: str, bytes_in_row: int) -> str:
        """Take fields off the low end of C."""
        field = f"""
            ld a,c
            and {(1 << self.bits) - 1}
            {self.to_byte}
            ld (hl),a
            inc hl
            inc hl
        """
        rotate = "ld a,c\n" + "rrca\n" * self.bits + "ld c,a\n"
        fields = rotate.join([field] * self.per_byte)
        return _repeat(label, bytes_in_row, f"ld a,(de)\ninc de\nld c,a\n{fields}")


class Signed:
    """A map of what is not zero, and behind it the signs, of which B holds the next ones."""

    per_byte = 8

    def store(self, row: Row) -> NDArray[np.uint8]:
        """One row as bytes."""
        block = bitmap.encode(_as_block(row, self.per_byte))
        return np.concatenate([block.map, block.signs])

    def code(self, label: str, bytes_in_row: int) -> str:
        """IY walks the map, DE the signs; a bit above the signs in B tells when they end."""
        bit = f"""
            rr c
            ld a,{OFFSET}
            jr nc,LABEL_store
            srl b
            jr nz,LABEL_sign
            ld a,(de)
            inc de
            scf
            rra
            ld b,a
        LABEL_sign:
            ld a,{OFFSET - 1}
            jr c,LABEL_store
            ld a,{OFFSET + 1}
        LABEL_store:
            ld (hl),a
            inc hl
            inc hl
        """
        bits = "".join(bit.replace("LABEL", f"{label}_{number}") for number in range(8))
        loop = _repeat(label, bytes_in_row, f"ld a,(iy+0)\ninc iy\nld c,a\n{bits}")
        return f"""
            ld a,e
            ld iyl,a
            ld a,d
            ld iyh,a
            ex de,hl
            ld bc,{bytes_in_row}
            add hl,bc
            ex de,hl
            ld b,1
            {loop}
        """


def _add(offset: int) -> str:
    return f"add a,{OFFSET - offset}"


UNPACKINGS: dict[str, Unpacking] = {
    packed4.NAME: Fields(packed4.encode, packed4.BITS, _add(packed4.OFFSET)),
    packed2.NAME: Fields(packed2.encode, packed2.BITS, _add(packed2.OFFSET)),
    packed1.NAME: Fields(packed1.encode, 1, f"add a,a\n{_add(1)}"),
    bitmap.NAME: Signed(),
}
