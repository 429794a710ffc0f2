"""Every position of a window on Z80: the two loops around a kernel's body, and the padding.

Without padding, windows are read where the input lies. With padding, a band of as many rows as the
window has is kept in scratch, its borders filled once; for every row of positions the rows are
copied into it, or filled where they lie outside the image. So no body knows of padding.

Pointers and counters are kept in memory, since bodies use every register. T-states, without what is
done once a layer: 173 a position and 161 a row of positions, or 250 a position where rows have but
one; with padding, for each of the band's rows 17 for each byte of an input's row and 120 on top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from kernels.emit import Job, tensor_symbol
from kernels.errors import Unsupported
from kernels.ir import Tensor
from kernels.ops.window import Image, Window
from kernels.z80.blocks import copy, fill

MOST = 256  # columns of positions, channels and rows of a window: their counters have one byte


@dataclass(frozen=True)
class Walk:
    """A layer's window, its input and output, and the value of pixels in the padding.

    page: whether a band that fits one page shall lie in one.
    """

    job: Job
    window: Window
    image: Image
    source: Tensor
    output: Tensor
    fill: int
    prefix: str
    page: bool = False

    def __post_init__(self) -> None:
        columns = self.window.positions(self.image)[1]
        counts = {"columns": columns, "channels": self.image[2]}
        self._limit(counts | {"rows of a window": self.window.size[0]})

    def _limit(self, counts: Mapping[str, int]) -> None:
        for what, count in counts.items():
            if count > MOST:
                raise Unsupported(
                    f"{self.job.node.name}: {count} {what}; z80 kernels take at most {MOST}"
                )

    def counters(self) -> tuple[int, int]:
        """What counters of a byte begin with for the rows and columns of a window; 256 is 0.

        Unsupported where a window has more.
        """
        rows, columns = self.window.size
        self._limit({"rows of a window": rows, "columns of a window": columns})
        return rows & 0xFF, columns & 0xFF

    @property
    def rows(self) -> int:
        """Rows of positions."""
        return self.window.positions(self.image)[0]

    @property
    def positions(self) -> int:
        """Of the window, all together."""
        return self.rows * self.window.positions(self.image)[1]

    @property
    def pixel(self) -> int:
        """Bytes of an input pixel."""
        return self.image[2] * self.source.dtype.size

    @property
    def row(self) -> int:
        """Bytes of an input row."""
        return self.image[1] * self.pixel

    @property
    def padded(self) -> bool:
        """Whether there is a band."""
        return any(self.window.padding)

    @property
    def pitch(self) -> int:
        """Bytes from a row to the next where windows are read."""
        return self.row + 2 * self.window.padding[1] * self.pixel

    @cached_property
    def band(self) -> str:
        """Symbol of the band's first byte."""
        align = 256 if self.paged else 1
        return self.job.scratch(f"{self.prefix}band", self.window.size[0] * self.pitch, align)

    @property
    def paged(self) -> bool:
        """Whether windows are read from within one page."""
        return self.page and self.padded and self.window.size[0] * self.pitch <= 256

    @cached_property
    def state(self) -> str:
        """Symbol of: source row, window, output, rows (two bytes each), columns (one)."""
        return self.job.scratch(f"{self.prefix}walk", 9)

    def write(
        self,
        body: Callable[[], None],
        *,
        first: int = 0,
        each_row: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the loops. The body finds the window's first byte at HL and its output's at DE.

        It may use every register. first: byte of each output pixel that the body writes first.
        each_row: writes what is done before each row of positions; it finds the first window at HL.
        """
        rows, columns = self.window.positions(self.image)
        label, out = self.job.label(self.prefix), self.job.code
        self.job.at_most(f"{label}row", rows)
        self.job.at_most(f"{label}column", self.positions)
        self._start(rows, first)
        out.emit(f"{label}row:\nld hl,({self.state})")
        if self.padded:
            self._fill_band()
            out.emit(f"ld hl,{self.band}")
        out.emit(f"""
            ld ({self.state}+2),hl
            ld a,{columns & 0xFF}
            ld ({self.state}+8),a
        """)
        each_row()
        out.emit(f"""
        {label}column:
            ld hl,({self.state}+2)
            ld de,({self.state}+4)
        """)
        body()
        self._next(label, rows, columns)

    def _start(self, rows: int, first: int) -> None:
        out, size = self.job.code, self.source.dtype.size
        if self.padded:
            total = self.window.size[0] * self.pitch // size
            lines = fill(self.job, self.fill, size, total, 1)
            out.emit(f"ld de,{self.band}\n{lines}")
        out.emit(f"""
            ld hl,{tensor_symbol(self.source)}-{self.window.padding[0] * self.row}
            ld ({self.state}),hl
            ld hl,{tensor_symbol(self.output)}+{first}
            ld ({self.state}+4),hl
            ld hl,{rows}
            ld ({self.state}+6),hl
        """)

    def _fill_band(self) -> None:
        """Copy the rows from HL on into the band; rows outside the image are filled."""
        out, label = self.job.code, self.job.label(f"{self.prefix}band")
        size = self.source.dtype.size
        gap = self.pitch - self.row
        out.emit(f"""
            ld de,{self.band}+{self.window.padding[1] * self.pixel}
            ld ixl,{self.window.size[0] & 0xFF}
        {label}_row:
            push hl                     ; a row above or below is out of range
            ld bc,0x10000-{tensor_symbol(self.source)}
            add hl,bc
            ld bc,0x10000-{self.source.size}
            add hl,bc
            pop hl
            jp c,{label}_outside
        """)
        copied = self.rows * self.window.size[0]
        self.job.at_most(f"{label}_row", copied)
        copy(self.job, f"{label}_copy", self.row, copied)
        out.emit(f"""
            jp {label}_next
        {label}_outside:
            push hl
            {fill(self.job, self.fill, size, self.row // size, copied)}
            pop hl
            ld bc,{self.row}
            add hl,bc
        {label}_next:
            {f"ex de,hl{chr(10)}ld bc,{gap}{chr(10)}add hl,bc{chr(10)}ex de,hl" if gap else ""}
            dec ixl
            jp nz,{label}_row
        """)

    def _next(self, label: str, rows: int, columns: int) -> None:
        out = self.job.code
        self._advance(4, self.output.shape[-1] * self.output.dtype.size)
        if columns > 1:
            self._advance(2, self.window.stride[1] * self.pixel)
            out.emit(f"""
                ld hl,{self.state}+8
                dec (hl)
                jp nz,{label}column
            """)
        if rows > 1:
            self._advance(0, self.window.stride[0] * self.row)
            out.emit(f"""
                ld hl,({self.state}+6)
                dec hl
                ld ({self.state}+6),hl
                ld a,h
                or l
                jp nz,{label}row
            """)

    def _advance(self, at: int, count: int) -> None:
        self.job.code.emit(f"""
            ld hl,({self.state}+{at})
            ld bc,{count}
            add hl,bc
            ld ({self.state}+{at}),hl
        """)
