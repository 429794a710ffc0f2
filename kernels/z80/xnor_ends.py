"""Ends of the rows of `linear_xnor`: a count becomes a sum in SRAM, or at once a bit of the output.

What an end needs to know of a row follows its weights. All of it uses the other register set, but
for A: there DE points to where results go.

T-states of four rows of one byte of inputs, to sums of 16 bits: 378, with their biases 482; to
bits: 299, and 23 more each time that a byte is full. 28 more to bits from 256 inputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kernels.emit import Job, little_endian, tensor_symbol
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan
from kernels.z80.row_sums import RowSums

ROWS = 4
_MOST_GROUPS = 256  # that a counter of one byte counts


class Ends(Protocol):
    """What is done with the counts of one block of inputs, four rows after four."""

    def constants(self, group: int) -> list[int]:
        """The bytes that follow the weights of these rows."""

    def begin(self) -> str:
        """Lines in front of all rows."""

    def row(self, number: int) -> str:
        """Lines for one of four rows, whose count is in A and, the ninth bit, the carry."""

    def repeat(self, rows: str) -> str:
        """Lines behind four rows: back to the first register set, and a jump to the next four."""


@dataclass(frozen=True)
class SumEnds:
    """Counts onto biases, or onto what earlier blocks left, or nothing.

    bias: of all outputs, int64. first: whether there is no earlier block. streams: whether SP
    walks the weights; otherwise HL' does.
    """

    sums: RowSums
    bias: NDArray[np.int64]
    first: bool
    streams: bool

    @property
    def _adds_bias(self) -> bool:
        return self.sums.direct and self.first

    def constants(self, group: int) -> list[int]:
        """Biases that are added here."""
        if not self._adds_bias:
            return []
        biases = self.bias[group * ROWS : (group + 1) * ROWS].tolist()
        return [byte for bias in biases for byte in little_endian(bias, 2)]

    def begin(self) -> str:
        """DE points to the first sum."""
        return f"ld de,{self.sums.symbol}"

    def row(self, number: int) -> str:  # noqa: ARG002 - all rows end alike
        """The sum, and DE behind it."""
        size = self.sums.size
        if self._adds_bias:
            load = "pop bc" if self.streams else "ld c,(hl)\ninc hl\nld b,(hl)\ninc hl"
            low = f"{load}\njr nc,$+3\ninc b\nadd a,c\nld (de),a\ninc de\n"
            return low + "ld a,b\nadc a,0\nld (de),a\ninc de"
        if self.first:
            upper = "xor a\n" + "ld (de),a\ninc de\n" * (size - 2) if size > 2 else ""
            return f"ld (de),a\ninc de\nld a,0\nadc a,a\nld (de),a\ninc de\n{upper}"
        upper = "ld a,(hl)\nadc a,0\nld (hl),a\ninc hl\n" * (size - 2)
        return f"""
            ld b,0
            rl b
            ex de,hl
            add a,(hl)
            ld (hl),a
            inc hl
            ld a,(hl)
            adc a,b
            ld (hl),a
            inc hl
            {upper}
            ex de,hl
        """

    def repeat(self, rows: str) -> str:
        """Until DE is behind the last sum."""
        return f"""
            ld a,e
            cp {self.sums.end}&0xff
            ld a,d
            exx
            jp nz,{rows}
            cp {self.sums.end}>>8
            jp nz,{rows}
        """


@dataclass(frozen=True)
class SignEnds:
    """A comparison with a limit of one byte tells the sign of a sum, which is a bit of the output.

    limits: int64 (out,), from which count on outputs are 1. saturates: whether a count may be 256,
    which is no less than any limit that 255 is no less than. B' holds inverted bits, behind one
    that falls out when eight are in; C' counts groups of rows.
    """

    job: Job
    layer: Linear
    limits: NDArray[np.int64]
    saturates: bool
    streams: bool

    @property
    def _groups(self) -> int:
        return -(-len(self.limits) // ROWS)

    def constants(self, group: int) -> list[int]:
        """Limits, of rows that are but filled up any."""
        limits: list[int] = self.limits[group * ROWS : (group + 1) * ROWS].tolist()
        return limits + [0] * (ROWS - len(limits))

    def begin(self) -> str:
        """No bits yet."""
        return f"ld de,{tensor_symbol(self.layer.output)}\nld bc,{0x8000 + (self._groups & 0xFF)}"

    def row(self, number: int) -> str:
        """A bit, which is 1 below the limit."""
        compare = "cp (hl)\ninc hl"
        if self.streams:
            compare = "cp h" if number % 2 else "pop hl\ncp l"
        saturate = "sbc a,0\n" if self.saturates else ""
        return f"{saturate}{compare}\nrr b"

    def repeat(self, rows: str) -> str:
        """With a byte stored once it is full; and behind the last row what is left of one."""
        units = len(self.limits)
        rest, mask = "", (1 << units % 8) - 1
        if self._groups % 2:
            shift = "rrca\n" * ROWS
            rest = f"ld a,b\ncpl\n{shift}and {mask}\nld (de),a"
        elif mask:
            rest = f"dec de\nld a,(de)\nand {mask}\nld (de),a"
        return f"""
            jr nc,{rows}_next
            ld a,b
            cpl
            ld (de),a
            inc de
            ld b,0x80
        {rows}_next:
            dec c
            exx
            jp nz,{rows}
            {f"exx{chr(10)}{rest}{chr(10)}exx" if rest else ""}
        """


def sign_limits(
    layer: Linear, plan: RequantPlan, bias: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """From which count on outputs are 1, int64 (out,); None where no comparison of bytes tells.

    bias: what is added to counts, int64 (out,).
    """
    limits: NDArray[np.int64] = np.clip(-(bias >> layer.input_shift), 0, 8 * layer.input.size + 1)
    binary = layer.output.dtype.packed and plan.is_sign and layer.wrap is None
    fits = limits.max() <= 0xFF and len(bias) <= ROWS * _MOST_GROUPS
    return limits if binary and fits else None
