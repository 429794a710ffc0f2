"""Convolutions on Z80 with weights as code, inputs of 8 bits: a weight is an index's displacement.

As in `conv_code`, w v = F(w + v) - F(w) - F(v), F(n) = n (n + 1) / 2, where v is an input less its
center. IX points to the low byte of F(v), IY to its high byte, in tables of F(-256..254), so an
index is never folded. Four outputs meet an input, their sums in HL, DE, HL' and DE':

    ld c,(ix+57) / ld b,(iy+57) / add hl,bc      49    and 3 for EX or EXX to the next sum
    pop bc / ld ixl,c / ld iyl,c / ld a,b        30    two inputs
    ld ixl,a / ld iyl,a                          16    the second

At first the image is copied, with its padding (`padded_copy.py`), so SP walks rows of windows.

T-states of a position, besides products: 236, and 21 for each pixel of the window; each four
outputs of it 282 and requantizing, 19 a byte stored; from a row of the window to the next 39, and
50 for each four outputs.

Registers: SP inputs; A the second of a pair; IX, IY tables; BC a product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.emit import Job, tensor_symbol
from kernels.ops.convolution import Convolution
from kernels.requant_plan import RequantPlan
from kernels.z80.padded_copy import HIGH, LOW, TABLE, PaddedCopy
from kernels.z80.requantize_inline import problem, requantize
from kernels.z80.stack_pointer import borrowed, may_borrow
from kernels.z80.walk import MOST

_MOST_COPIED = 8192  # bytes of SRAM
_REACH = 128  # of IY, for a position's outputs
_TOGETHER = 4


def serves(job: Job, layer: Convolution, plan: RequantPlan) -> bool:
    """Whether the loop can be taken, and takes less than `conv_code`'s for folded indices."""
    height, width, channels = layer.image
    (above, left), outputs = layer.window.padding, len(layer.bias)
    pixels = (height + 2 * above) * (width + 2 * left)
    counts = height, width, *layer.window.positions(layer.image)
    fits = pixels * (channels + 2) <= _MOST_COPIED and max(counts) <= MOST
    reached = outputs * plan.output_bytes <= _REACH
    simple = layer.input_shift == 0 and problem(plan) is None
    return may_borrow(job.target) and fits and reached and simple and outputs > 2


@dataclass
class _Sums:
    """Which set of registers is in use, and which sum HL has in each set, as code is written."""

    count: int
    at: int = 0
    held: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held = [min(1, self.count - 1), min(3, self.count - 1)]

    @property
    def order(self) -> list[int]:
        """The sums in the order in which a change takes least, beginning in HL."""
        others = [n for n in range(self.count) if n // 2 != self.at]
        first = self.held[self.at]
        own = [first, *[n for n in range(self.count) if n // 2 == self.at and n != first]]
        begin = self.held[1 - self.at]
        return own + sorted(others, key=lambda n: n != begin)

    def bring(self, number: int) -> str:
        """Lines that bring a sum to HL."""
        lines = ""
        if number // 2 != self.at:
            self.at, lines = 1 - self.at, "exx\n"
        if self.held[self.at] != number:
            self.held[self.at], lines = number, f"{lines}ex de,hl\n"
        return lines


@dataclass(frozen=True)
class Indexed:
    """Writes one layer. bias: what is added to sums of F(w + v) - F(v), int64 (out,)."""

    job: Job
    layer: Convolution
    plan: RequantPlan
    bias: NDArray[np.int64]

    @cached_property
    def _copy(self) -> PaddedCopy:
        return PaddedCopy(self.job, self.layer)

    @cached_property
    def _state(self) -> str:
        """Symbol of: window, its pixels' sums, both at the row's begin, output, start, a sum (2).

        Then columns and rows left, a byte each.
        """
        return self.job.scratch("state", 16)

    def _slot(self, name: str) -> str:
        names = "window", "squares", "row", "row_squares", "output", "start", "sum"
        return f"{self._state}+{2 * names.index(name)}"

    def write(self) -> None:
        """Write the layer, with every register; the stack has four bytes."""
        self._copy.write()
        with borrowed(self.job):
            self._walk()

    def _walk(self) -> None:
        """All positions, row after row."""
        job, out, label = self.job, self.job.code, self.job.label
        rows, columns = self.layer.window.positions(self.layer.image)
        job.at_most(label("row"), rows)
        job.at_most(label("column"), rows * columns)
        out.emit(f"""
            ld hl,{self._copy.symbol}
            ld ({self._slot("row")}),hl
            ld hl,{self._copy.squares}
            ld ({self._slot("row_squares")}),hl
            ld hl,{tensor_symbol(self.layer.output)}
            ld ({self._slot("output")}),hl
            ld a,{rows & 0xFF}
            ld ({self._state}+15),a
        {label("row")}:
            ld hl,({self._slot("row")})
            ld ({self._slot("window")}),hl
            ld hl,({self._slot("row_squares")})
            ld ({self._slot("squares")}),hl
            ld a,{columns & 0xFF}
            ld ({self._state}+14),a
        {label("column")}:
        """)
        self._sum_squares()
        for first in range(0, len(self.bias), _TOGETHER):
            self._outputs(range(first, min(first + _TOGETHER, len(self.bias))))
        along, down = self.layer.window.stride[1], self.layer.window.stride[0] * self._copy.width
        self._advance("output", len(self.bias) * self.plan.output_bytes)
        self._advance("window", along * self._copy.channels)
        self._advance("squares", 2 * along)
        out.emit(f"ld hl,{self._state}+14\ndec (hl)\njp nz,{label('column')}")
        self._advance("row", down * self._copy.channels)
        self._advance("row_squares", 2 * down)
        out.emit(f"ld hl,{self._state}+15\ndec (hl)\njp nz,{label('row')}")

    def _advance(self, slot: str, count: int) -> None:
        place = self._slot(slot)
        self.job.code.emit(f"ld hl,({place})\nld bc,{count}\nadd hl,bc\nld ({place}),hl")

    def _skip(self, count: int) -> str:
        """SP steps over so many bytes; IX is clobbered."""
        return f"ld ix,{count}\nadd ix,sp\nld sp,ix\n" if count else ""

    def _sum_squares(self) -> None:
        """Where sums of products start."""
        rows, columns = self.layer.window.size
        out, gap = self.job.code, self._skip(2 * (self._copy.width - columns))
        row = "pop bc\nadd hl,bc\n" * columns
        out.emit(f"ld sp,({self._slot('squares')})\nld hl,0\n{gap.join([row] * rows)}")
        out.emit(f"ld ({self._slot('start')}),hl")

    def _outputs(self, units: range) -> None:
        """Up to four outputs of the window; entered and left in one set of registers."""
        out, sums = self.job.code, _Sums(len(units))
        if len(units) > 2:
            out.emit(f"exx\n{self._starts(units[2:])}\nexx")
        out.emit(self._starts(units[:2]))
        out.emit(f"ld sp,({self._slot('window')})")
        for lines in self._products(units, sums):
            out.emit(lines)
        self._finish(units, sums)

    def _starts(self, units: range) -> str:
        """One or two sums, the last of which is in HL."""
        begin = (f"ld hl,{int(self.bias[unit]) & 0xFFFF}\nadd hl,bc" for unit in units)
        return f"ld bc,({self._slot('start')})\n" + "\nex de,hl\n".join(begin)

    def _products(self, units: range, sums: _Sums) -> Iterator[str]:
        pages = f"ld ixh,{TABLE}>>8+{LOW}"
        yield f"{pages}\nld iyh,{TABLE}>>8+{HIGH}"
        per_row = self.layer.window.size[1] * self._copy.channels
        popped = per_row + per_row % 2
        weights = self.layer.matrix[units.start : units.stop].T.tolist()
        for number, column in enumerate(weights):
            place = number % per_row
            gap = self._skip(self._copy.width * self._copy.channels - popped)
            if number and place == 0 and gap:
                yield f"{gap}{pages}"
            if place % 2 == 0:
                keep = "\nld a,b" if place + 1 < per_row else ""
                yield f"pop bc\nld ixl,c\nld iyl,c{keep}"
            else:
                yield "ld ixl,a\nld iyl,a"
            for unit in sums.order:
                w = column[unit]
                yield f"{sums.bring(unit)}ld c,(ix{w:+d})\nld b,(iy{w:+d})\nadd hl,bc"

    def _finish(self, units: range, sums: _Sums) -> None:
        """Requantize what is in HL, then what was in DE; then the other set of registers."""
        out, size = self.job.code, self.plan.output_bytes
        out.emit(f"ld iy,({self._slot('output')})")
        order = sums.order
        for number, at in enumerate(order):
            follows = number + 1 < len(order) and order[number + 1] // 2 == at // 2
            if number and order[number - 1] // 2 == at // 2:
                out.emit(f"ld hl,({self._slot('sum')})")
            else:
                out.emit(sums.bring(at))
            out.emit(f"ld ({self._slot('sum')}),de" if follows else "")
            unit = units.start + at
            multiplier = int(self.layer.requantization.per_channel(len(self.bias))[unit])
            requantize(out, self.job.label(f"u{unit}"), self.plan, multiplier)
            for byte, half in enumerate("lh"[:size]):
                out.emit(f"ld (iy+{unit * size + byte}),{half}")
        out.emit("exx" if sums.at else "")
