"""Convolutions on Z80 with weights as code: two outputs at a time, one look-up a product.

As in `linear_dense8`, w v = F(w + v) - F(w) - F(v), F(n) = n (n + 1) / 2. The sum of F(w) is in the
bias. The sum of F(v) is the same for all outputs: it is taken once for each column of pixels that a
row of windows covers, and a window's is the sum of its columns'. A product, weight in the code:

    ld a,(de)      7    the input; behind the second output's, INC E or INC DE steps on
    add a,57       7
    ld l,a         4
    ld c,(hl)      7    F, from two pages; which is read first depends on where H stands
    inc h          4
    ld b,(hl)      7
    add ix,bc     15    or IY

Inputs of at most 7 bits, by proven range, are v = x - lowest x, so that w + v lies in the table of
-128..127 for a negative weight and in that of 0..255 for others: changing tables costs 4 or 7.
Other inputs are v = x - center. Where `conv_code_indexed` serves, it takes less; where not, the
sum's carry tells its sign, and an index is folded at 0 since F(n) = F(-1 - n): 11 or 12 more, and 7
for signed bytes. Zeros are products like any other.

Sums of 24 bits count carries in C' and B', 12 T more a product, 19 with a carry, and requantize
with constants in memory. Registers: DE window; HL table; IX, IY sums; BC a product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.emit import Job, emitter
from kernels.encodings import code
from kernels.errors import Unsupported
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.convolution import Convolution
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.conv_code_indexed import Indexed, serves
from kernels.z80.requantize import constants_size, output_constants
from kernels.z80.requantize import requantize as requantize_from_memory
from kernels.z80.requantize_inline import problem, requantize
from kernels.z80.triangles import HALF, triangular
from kernels.z80.walk import MOST, Walk

_PAGE = 256
_STORE_THIRD = """
            exx
            ld a,c
            exx
            ld (iy+0),a
            inc iy
"""
_TABLE = "triangle_pages"  # -128..127: low bytes, high bytes; 0..255: high bytes, low bytes


@emitter("z80", Conv1d, code.NAME)
@emitter("z80", Conv2d, code.NAME)
def emit(job: Job) -> None:
    """Write the walk, or, for inputs of 8 bits, see `conv_code_indexed`. Uses every register.

    Stack: two bytes; where requantization is not in the code four, six with sums of 24 bits.
    Refuses inputs of 16 bits, sums of 32, groups, and rows of more than 256 pixels. T-states of a
    position: those of `Walk`; 57 and 39 a column of the window; for each pair of outputs 118, the
    products, and requantizing, 25 a byte stored.
    """
    layer = job.node
    assert isinstance(layer, Convolution)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    found = "groups" if layer.groups > 1 else None
    if plan.acc_bytes > 3:
        found = "sums of 32 bits, 24 at most"
    if layer.input.dtype.size > 1:
        found = "inputs of 16 bits, 8 at most"
    code = _Code(job, layer, plan)
    if code.columns > MOST:
        found = f"windows over {code.columns} columns of pixels, {MOST} at most"
    if found:
        raise Unsupported(f"{layer.name}: weights as code on z80: {found}; use dense8")
    if not code.small and serves(job, layer, plan):
        Indexed(job, layer, plan, code.bias).write()
    else:
        code.write()


def _write_table(out: Assembly) -> None:
    centered = triangular(np.arange(-HALF, HALF))
    folded = triangular(np.arange(_PAGE))
    for page in (centered, centered >> 8, folded >> 8, folded):
        out.data(".byte", page & 0xFF)


@dataclass
class _Pages:
    """Which page H stands at, while straight code is written."""

    at: int = 0

    def look_up(self, first: int, low: int) -> str:
        """Lines that load BC from page `low` and its neighbour; `first`: the lower of both."""
        pages = (first, first + 1)
        order = sorted(pages, key=lambda page: abs(page - self.at))
        lines = []
        for page in order:
            if page != self.at:
                near = {1: "inc h", -1: "dec h"}.get(page - self.at)
                lines.append(near or f"ld h,{_TABLE}>>8+{page}")
            self.at = page
            lines.append(f"ld {'c' if page == low else 'b'},(hl)")
        return "\n".join(lines)


@dataclass(frozen=True)
class _Code:
    job: Job
    layer: Convolution
    plan: RequantPlan

    @cached_property
    def small(self) -> bool:
        """Whether inputs have 7 bits, above the lowest."""
        known = self.layer.factors(self.job.ranges[self.layer.input.name])
        return known.high - known.low < HALF

    @cached_property
    def center(self) -> int:
        """What is taken off an input before it meets the table."""
        if self.small:
            return self.layer.factors(self.job.ranges[self.layer.input.name]).low
        return 0 if self.layer.input.dtype.signed else HALF

    @cached_property
    def walk(self) -> Walk:
        layer = self.layer
        return Walk(
            self.job,
            layer.window,
            layer.image,
            layer.input,
            layer.output,
            layer.input.zero_point,
            "",
            page=True,
        )

    @cached_property
    def bias(self) -> NDArray[np.int64]:
        """What is added to sums of F(w + v) - F(v), int64 (out,), before the shift of inputs."""
        weights = self.layer.matrix.astype(np.int64)
        squares = triangular(weights).sum(axis=1)
        fixed = weights.sum(axis=1) * self.center - squares
        bias: NDArray[np.int64] = self.layer.folded_bias + (fixed << self.layer.input_shift)
        return bias

    @property
    def wide(self) -> bool:
        """Whether sums have a third byte: C' and B' count the carries of IX and IY."""
        return self.plan.acc_bytes == 3

    @cached_property
    def inline(self) -> bool:
        """Whether the requantization's parameters are in the code, too."""
        return problem(self.plan) is None

    def _carry(self, register: str) -> str:
        return f"jr nc,$+5\nexx\ninc {register}\nexx" if self.wide else ""

    def write(self) -> None:
        if not self.inline:
            self.job.consts.emit(f"{self.job.label('outputs')}:")
            for unit in range(len(self.bias)):
                constants = output_constants(self.plan, self.bias, unit)
                self.job.consts.data(".byte", constants)
        self.job.share(_TABLE, _write_table, align=_PAGE)
        self.walk.write(self._position, each_row=self._sum_columns)

    @property
    def step(self) -> str:
        """To the next input at DE."""
        return "inc e" if self.walk.paged else "inc de"

    def _skip(self, gap: int) -> str:
        """Add to DE, with A."""
        if not gap:
            return ""
        low = f"ld a,e\nadd a,{gap & 0xFF}\nld e,a"
        return low if self.walk.paged else f"{low}\nld a,d\nadc a,{gap >> 8}\nld d,a"

    @cached_property
    def columns(self) -> int:
        """Columns of pixels that a row of windows covers."""
        count = self.layer.window.positions(self.layer.image)[1]
        return (count - 1) * self.layer.window.stride[1] + self.layer.window.size[1]

    @cached_property
    def sums(self) -> str:
        """Symbol of each column's sum of F(v)."""
        return self.job.scratch("columns", self.plan.acc_bytes * self.columns)

    @cached_property
    def state(self) -> str:
        """Symbol of: column or a window's first sum, its sum negated (3), columns left, output."""
        return self.job.scratch("state", 8)

    def _sum_columns(self) -> None:
        """The sum of F(v) of each column of pixels, from the one at HL on."""
        out, loop = self.job.code, self.job.label("sum")
        self.job.at_most(loop, self.walk.rows * self.columns)
        out.emit(f"""
            ld ({self.state}),hl
            ld iy,{self.sums}
            ld a,{self.columns & 0xFF}
            ld ({self.state}+5),a
        {loop}:
            ld de,({self.state})
            ld ix,0
            {"exx" if self.wide else ""}
            {"ld c,0" if self.wide else ""}
            {"exx" if self.wide else ""}
            ld h,{_TABLE}>>8
        """)
        pages = _Pages()
        for row in range(self.layer.window.size[0]):
            out.emit(self._skip(self.walk.pitch - self.walk.pixel) if row else "")
            for _ in range(self.walk.image[2]):
                out.emit(f"{self._look_up_input(pages)}\nadd ix,bc\n{self._carry('c')}")
                out.emit(self.step)
        out.emit(f"""
            push ix
            pop bc
            ld (iy+0),c
            ld (iy+1),b
            inc iy
            inc iy
            {_STORE_THIRD if self.wide else ""}
            ld hl,({self.state})
            ld bc,{self.walk.pixel}
            add hl,bc
            ld ({self.state}),hl
            ld a,({self.state}+5)
            dec a
            ld ({self.state}+5),a
            jp nz,{loop}
            ld hl,{self.sums}
            ld ({self.state}),hl
        """)

    def _look_up_input(self, pages: _Pages) -> str:
        """BC = F(v)."""
        if self.small:
            shift = f"add a,{-self.center & 0xFF}" if self.center else ""
            return f"ld a,(de)\n{shift}\nld l,a\n{pages.look_up(2, 3)}"
        flip = "xor 0x80" if self.layer.input.dtype.signed else ""
        return f"ld a,(de)\n{flip}\nld l,a\n{pages.look_up(0, 0)}"

    def _position(self) -> None:
        self._sum_window()
        outputs = len(self.layer.bias)
        for first in range(0, outputs, 2):
            self._pair(list(range(first, min(first + 2, outputs))))

    def _sum_window(self) -> None:
        """Where sums of products start: minus the sum of F(v), to memory. DE is the output."""
        third = "adc a,(hl)\ninc hl" if self.wide else ""
        more = f"""
            ld c,(hl)
            inc hl
            ld b,(hl)
            inc hl
            ex de,hl
            add hl,bc
            ex de,hl
            {third}
        """
        stride = self.plan.acc_bytes * self.layer.window.stride[1]
        keep = "push de\nexx\npop de\nexx" if self.inline else f"ld ({self.state}+6),de"
        self.job.code.emit(f"""
            {keep}
            ld hl,({self.state})
            ld bc,{stride}
            add hl,bc
            ld ({self.state}),hl
            sbc hl,bc
            ld e,(hl)
            inc hl
            ld d,(hl)
            inc hl
            {"ld a,(hl)" if self.wide else ""}
            {"inc hl" if self.wide else ""}
            {more * (self.layer.window.size[1] - 1)}
            {"ld c,a" if self.wide else ""}
            ld hl,0
            or a
            sbc hl,de
            ld ({self.state}+2),hl
            {"sbc a,a" if self.wide else ""}
            {"sub c" if self.wide else ""}
            {f"ld ({self.state}+4),a" if self.wide else ""}
        """)

    def _pair(self, units: list[int]) -> None:
        """The outputs of one or two units."""
        out = self.job.code
        out.emit(f"ld de,({self.walk.state}+2)")
        if self.inline:
            self._start_inline(units)
        else:
            self._start(units)
        out.emit(f"ld h,{_TABLE}>>8")
        self._products(units)
        if self.inline:
            self._finish_inline(units)
        else:
            self._finish(units)

    def _start(self, units: list[int]) -> None:
        """Sums without their biases."""
        out = self.job.code
        out.emit("\n".join(f"ld {i},({self.state}+2)" for i in ("ix", "iy")[: len(units)]))
        if self.wide:
            out.emit(f"ld a,({self.state}+4)\nexx\nld c,a\nld b,a\nexx")

    def _finish(self, units: list[int]) -> None:
        """Requantize with constants in memory; both register sets are used, and may be swapped."""
        out, dtype = self.job.code, self.layer.output.dtype
        if len(units) == 2:
            out.emit("push iy" + ("\nexx\npush bc\nexx" if self.wide else ""))
        for number, unit in enumerate(units):
            fetch = ("pop bc\nld a,b\n" if self.wide else "") + "pop hl"
            if number == 0:
                fetch = "push ix\npop hl" + ("\nexx\nld a,c\nexx" if self.wide else "")
            place = f"{self.job.label('outputs')}+{unit * constants_size(self.plan)}"
            out.emit(f"{fetch}\nld ix,{place}")
            times = self.walk.positions
            requantize_from_memory(self.job, self.job.label(f"u{unit}"), self.plan, times)
            second = "ld a,h\nld (de),a\ninc de" if dtype.size == 2 else ""
            out.emit(f"""
                ld de,({self.state}+6)
                ld a,l
                ld (de),a
                inc de
                {second}
                ld ({self.state}+6),de
            """)

    def _start_inline(self, units: list[int]) -> None:
        """Sums with their biases, unless they will be shifted."""
        out = self.job.code
        out.emit(f"ld bc,({self.state}+2)")
        for index, unit in zip(("ix", "iy"), units, strict=False):
            start = 0 if self.layer.input_shift else int(self.bias[unit]) & 0xFFFF
            out.emit(f"ld {index},{start}\nadd {index},bc")

    def _finish_inline(self, units: list[int]) -> None:
        out, shift = self.job.code, self.layer.input_shift
        for index, unit in zip(("ix", "iy"), units, strict=False):
            out.emit(f"push {index}\npop hl")
            if shift:
                out.emit("add hl,hl\n" * shift)
                out.emit(f"ld bc,{int(self.bias[unit]) & 0xFFFF}\nadd hl,bc")
            multiplier = int(self.layer.requantization.per_channel(len(self.layer.bias))[unit])
            requantize(out, self.job.label(f"u{unit}"), self.plan, multiplier)
            for byte in "lh"[: self.layer.output.dtype.size]:
                out.emit(f"ld a,{byte}\nexx\nld (de),a\ninc de\nexx")

    def _products(self, units: list[int]) -> None:
        out, pages = self.job.code, _Pages()
        per_row = self.layer.window.size[1] * self.walk.image[2]
        for number, weights in enumerate(self.layer.matrix[units].T.tolist()):
            if number and number % per_row == 0:
                out.emit(self._skip(self.walk.pitch - per_row))
            for index, weight in self._ordered(weights, pages):
                carry = self._carry("c" if index == "ix" else "b")
                out.emit(f"{self._index(weight)}\n{self._look_up(weight, pages)}")
                out.emit(f"add {index},bc\n{carry}")
            out.emit(self.step)

    def _ordered(self, weights: list[int], pages: _Pages) -> list[tuple[str, int]]:
        """The products of an input, the one first whose table H stands at."""
        found = list(zip(("ix", "iy"), weights, strict=False))
        return sorted(found, key=lambda item: (item[1] >= 0) != (pages.at >= 2))

    def _index(self, weight: int) -> str:
        """The table's index in L."""
        if self.small:
            offset = weight + (HALF if weight < 0 else 0) - self.center
            return f"ld a,(de)\nadd a,{offset & 0xFF}\nld l,a"
        flip = "xor 0x80" if self.layer.input.dtype.signed else ""
        return f"ld a,(de)\n{flip}\nadd a,{weight + HALF}\njr c,$+3\ncpl\nld l,a"

    def _look_up(self, weight: int, pages: _Pages) -> str:
        """BC = F(w + v)."""
        return pages.look_up(0, 0) if self.small and weight < 0 else pages.look_up(2, 3)
