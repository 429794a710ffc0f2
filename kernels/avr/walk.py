"""Every position of a window on AVR: the two loops around a kernel's body, and the padding.

Without padding, windows are read where the input lies. With padding, a band of as many rows as the
window has is kept in scratch, its borders filled once; for every row of positions the rows are
copied into it, or filled where they lie outside the image. So no body knows of padding.

Pointers and counters are kept in SRAM, since bodies use every register. Cycles, without what is
done once a layer: 36 a position and 33 a row of positions, or 52 a position where rows have one;
with padding, for each of the band's rows 4 to 5 for each byte of an input's row on top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from kernels.avr.blocks import copy, fill, jump, step
from kernels.avr.memory import point
from kernels.emit import Job, little_endian, tensor_symbol
from kernels.errors import Unsupported
from kernels.ir import Tensor
from kernels.ops.window import Image, Window

_REACH = 3800  # bytes of a body that RJMP spans, with some to spare for the loops
MOST = 256  # columns of positions and channels: their counters have one byte


@dataclass(frozen=True)
class Walk:
    """A layer's window, its input and output, and the value of pixels in the padding.

    channels: of the output that one walk writes, from `first` on.
    """

    job: Job
    window: Window
    image: Image
    source: Tensor
    output: Tensor
    fill: int
    prefix: str

    def __post_init__(self) -> None:
        columns = self.window.positions(self.image)[1]
        self._limit({"columns": columns, "channels": self.image[2]})

    def _limit(self, counts: Mapping[str, int]) -> None:
        for what, count in counts.items():
            if count > MOST:
                raise Unsupported(
                    f"{self.job.node.name}: {count} {what}; avr kernels take at most {MOST}"
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
        return self.job.scratch(f"{self.prefix}band", self.window.size[0] * self.pitch)

    @cached_property
    def state(self) -> str:
        """Symbol of: source row, window, output (two bytes each), rows (two), columns (one)."""
        return self.job.scratch(f"{self.prefix}walk", 9)

    def write(self, body: Callable[[], None], *, first: int = 0) -> None:
        """Write the loops. The body finds the window's first byte at X and its output's at Y.

        It may use every register. first: byte of each output pixel that the body writes first.
        """
        rows, columns = self.window.positions(self.image)
        self._start(rows, first)
        label = self.job.label(self.prefix)
        self.job.at_most(f"{label}row", rows)
        self.job.at_most(f"{label}column", self.positions)
        out = self.job.code
        out.emit(f"{label}row:")
        self._start_row(columns)
        out.emit(f"{label}column:")
        for low, at in ((26, 2), (28, 4)):
            out.emit(
                f"lds   r{low}, {self.state} + {at}\nlds   r{low + 1}, {self.state} + {at + 1}"
            )
        before = out.size
        body()
        self._check_reach(out.size - before)
        self._next_column(label, columns)
        self._next_row(label, rows)

    def _check_reach(self, body: int) -> None:
        if "JMP" not in self.job.target.features and body > _REACH:
            raise Unsupported(
                f"{self.job.node.name}: a loop of {body:,} bytes is beyond the reach of RJMP on "
                f"{self.job.target.name}; use an encoding with less code"
            )

    def _start(self, rows: int, first: int) -> None:
        job, out = self.job, self.job.code
        if self.padded:
            out.emit(point("Y", self.band))
            self._fill_value()
            registers = ("r18", "r19")[: self.source.dtype.size]
            total = self.window.size[0] * self.pitch // self.source.dtype.size
            fill(job, job.label(f"{self.prefix}border"), total, registers, 1)
        above = self.window.padding[0] * self.row
        for value, at in (
            (f"{tensor_symbol(self.source)} - {above}", 0),
            (f"{tensor_symbol(self.output)} + {first}", 4),
            (f"{rows}", 6),
        ):
            out.emit(f"""
                ldi   r24, lo8({value})
                ldi   r25, hi8({value})
                sts   {self.state} + {at}, r24
                sts   {self.state} + {at + 1}, r25
            """)

    def _fill_value(self) -> None:
        for number, byte in enumerate(little_endian(self.fill, self.source.dtype.size)):
            self.job.code.emit(f"ldi   r{18 + number}, {byte}")

    def _start_row(self, columns: int) -> None:
        out = self.job.code
        out.emit(f"lds   r26, {self.state}\nlds   r27, {self.state} + 1")
        if self.padded:
            self._fill_band()
            out.emit(point("X", self.band))
        out.emit(f"""
            ldi   r24, {columns & 0xFF}
            sts   {self.state} + 2, r26
            sts   {self.state} + 3, r27
            sts   {self.state} + 8, r24
        """)

    def _fill_band(self) -> None:
        """Copy the rows from X on into the band; rows outside the image are filled."""
        out, label = self.job.code, self.job.label(f"{self.prefix}band")
        source, size = tensor_symbol(self.source), self.source.size
        out.emit(point("Y", f"{self.band} + {self.window.padding[1] * self.pixel}"))
        self._fill_value()
        out.emit(f"""
                ldi   r20, {self.window.size[0]}
        {label}_row:
                movw  r24, r26                ; a row above or below is out of range
                subi  r24, lo8({source})
                sbci  r25, hi8({source})
                subi  r24, lo8({size})
                sbci  r25, hi8({size})
                brcs  {label}_inside
                rjmp  {label}_outside
        {label}_inside:
        """)
        times = self.rows * self.window.size[0]
        self.job.at_most(f"{label}_row", times)
        copy(self.job, f"{label}_copy", self.row, times)
        out.emit(f"rjmp  {label}_next\n{label}_outside:")
        registers = ("r18", "r19")[: self.source.dtype.size]
        fill(self.job, f"{label}_fill", self.row // self.source.dtype.size, registers, times)
        out.emit(f"""
                {step("X", self.row)}
        {label}_next:
                {step("Y", self.pitch - self.row)}
                dec   r20
                breq  {label}_filled
                rjmp  {label}_row
        {label}_filled:
        """)

    def _next_column(self, label: str, columns: int) -> None:
        out = self.job.code
        self._advance(4, self.output.shape[-1] * self.output.dtype.size)
        if columns == 1:
            return
        self._advance(2, self.window.stride[1] * self.pixel)
        out.emit(f"""
                lds   r24, {self.state} + 8
                dec   r24
                sts   {self.state} + 8, r24
                breq  {label}columns
                {jump(self.job, f"{label}column")}
        {label}columns:
        """)

    def _next_row(self, label: str, rows: int) -> None:
        if rows == 1:
            return
        self._advance(0, self.window.stride[0] * self.row)
        self.job.code.emit(f"""
                lds   r24, {self.state} + 6
                lds   r25, {self.state} + 7
                sbiw  r24, 1
                sts   {self.state} + 6, r24
                sts   {self.state} + 7, r25
                breq  {label}rows
                {jump(self.job, f"{label}row")}
        {label}rows:
        """)

    def _advance(self, at: int, count: int) -> None:
        self.job.code.emit(f"""
            lds   r26, {self.state} + {at}
            lds   r27, {self.state} + {at + 1}
            {step("X", count)}
            sts   {self.state} + {at}, r26
            sts   {self.state} + {at + 1}, r27
        """)
