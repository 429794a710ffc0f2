"""A copy of an image with its padding, for convolutions whose windows are walked by a pointer.

Inputs are copied as v + 128, where v is an input less its center, and what each pixel adds to where
sums of products start is taken: the sum of -F(v) over its channels, F(n) = n (n + 1) / 2.

T-states: a row of the image 47, a pixel 96, its channels 82 each, 75 where inputs are unsigned; a
byte of padding 21.

Registers: DE inputs; HL table; BC a value; IX a pixel's sum; HL' copies, DE' sums; B', C' count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kernels.asm import Assembly
from kernels.emit import Job, tensor_symbol
from kernels.ops.convolution import Convolution
from kernels.z80.triangles import HALF, triangular

PAGE = 256
TABLE = "triangle_windows"  # behind half a page, F(-256..254): low bytes, and high bytes
LOW, HIGH = 1, 3  # pages of F(v), from the table on, for v of -128..127
_UNROLLED = 16  # channels of a pixel


def write_table(out: Assembly) -> None:
    """Half a page that nothing reads, then 511 low bytes, one of padding, and 511 high bytes."""
    values = triangular(np.arange(-PAGE, PAGE - 1))
    out.emit(f".space {HALF}")
    out.data(".byte", [*(values & 0xFF), 0, *(values >> 8 & 0xFF)])


@dataclass(frozen=True)
class PaddedCopy:
    """Writes the copying; uses every register, and two bytes of stack."""

    job: Job
    layer: Convolution

    @property
    def channels(self) -> int:
        """Bytes of a pixel."""
        return self.layer.image[2]

    @property
    def width(self) -> int:
        """Pixels of a row, with padding."""
        return self.layer.image[1] + 2 * self.layer.window.padding[1]

    @cached_property
    def _pixels(self) -> int:
        """Of the copy, and those behind it that its last row's padding is written to."""
        above, left = self.layer.window.padding
        return (self.layer.image[0] + 2 * above) * self.width + left

    @cached_property
    def symbol(self) -> str:
        """The copy; a pair of bytes may reach one byte beyond."""
        return self.job.scratch("copy", self._pixels * self.channels + 1)

    @cached_property
    def squares(self) -> str:
        """Symbol of what each pixel's channels add to a sum's start, two bytes."""
        return self.job.scratch("squares", 2 * self._pixels)

    def write(self) -> None:
        """Inputs as v + 128, with padding all around, and each pixel's sum of -F(v)."""
        job, out, label = self.job, self.job.code, self.job.label
        (height, width, _), (above, left) = self.layer.image, self.layer.window.padding
        count = job.scratch("image_rows", 1)
        job.share(TABLE, write_table, PAGE)
        job.at_most(label("image_row"), height)
        job.at_most(label("pixel"), height * width)
        out.emit(f"""
            ld a,{height & 0xFF}
            ld ({count}),a
            ld de,{tensor_symbol(self.layer.input)}
            exx
            ld hl,{self.symbol}
            ld de,{self.squares}
        """)
        self._pad("above", above * self.width + left, 1)
        out.emit(f"{label('image_row')}:\nld b,{width & 0xFF}\n{label('pixel')}:\nexx")
        self._copy_pixel()
        out.emit(f"dec b\njp nz,{label('pixel')}")
        self._pad("beside", 2 * left, height)
        out.emit(f"ld a,({count})\ndec a\nld ({count}),a")
        out.emit(f"jp nz,{label('image_row')}")
        self._pad("below", above * self.width - left, 1)

    def _pad(self, name: str, pixels: int, times: int) -> None:
        """So many pixels of padding to HL', and their sums to DE'; B' and C' are clobbered."""
        if pixels < 1:
            return
        value = self.layer.input.zero_point + (HALF if self.layer.input.dtype.signed else 0)
        square = -self.channels * int(triangular(np.array([value - HALF]))[0])
        rest, tag = pixels * self.channels - 1, self.job.label(f"pad_{name}")
        self.job.at_most(tag, (rest + 2 * (pixels - 1)) * times)
        self.job.code.emit(f"""
            push de
            ld d,h
            ld e,l
            inc de
            ld (hl),{value}
            {f"ld bc,{rest}{chr(10)}ldir ; #{tag}" if rest else ""}
            pop hl
            push de
            ld d,h
            ld e,l
            ld (hl),{square & 0xFF}
            inc de
            inc hl
            ld (hl),{square >> 8 & 0xFF}
            inc de
            dec hl
            {f"ld bc,{2 * (pixels - 1)}{chr(10)}ldir ; #{tag}" if pixels > 1 else ""}
            pop hl
        """)

    def _copy_pixel(self) -> None:
        """From DE to HL', and the sum of -F(v) to DE'; left in the register set of these."""
        unrolled = max(n for n in range(1, _UNROLLED + 1) if self.channels % n == 0)
        rounds, out, loop = self.channels // unrolled, self.job.code, self.job.label("channels")
        flip = "xor 0x80" if self.layer.input.dtype.signed else ""
        out.emit("ld ix,0")
        if rounds > 1:
            self.job.at_most(loop, self.channels // unrolled * self.layer.image[0] * self.width)
            out.emit(f"exx\nld c,{rounds & 0xFF}\nexx\n{loop}:")
        out.emit(f"ld h,{TABLE}>>8+{LOW}")
        for number in range(unrolled):
            order = ("c", "inc h\ninc h", "b") if number % 2 == 0 else ("b", "dec h\ndec h", "c")
            out.emit(f"""
                ld a,(de)
                inc de
                {flip}
                exx
                ld (hl),a                   ; v + 128
                inc hl
                exx
                ld l,a
                ld {order[0]},(hl)
                {order[1]}
                ld {order[2]},(hl)
                add ix,bc                   ; + F(v)
            """)
        out.emit(f"exx\ndec c\nexx\njp nz,{loop}" if rounds > 1 else "")
        out.emit("exx\nxor a\nsub ixl\nld (de),a\ninc de\nld a,0\nsbc a,ixh\nld (de),a\ninc de")
