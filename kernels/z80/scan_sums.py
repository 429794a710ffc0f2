"""The scan of units whose raw sums the layer before has left: requantization on the fly.

Registers: HL' a unit's high byte, D' that page, B' the table of columns' addresses, A 0x7f, IX
where a column's end goes; E' the unit while its column is walked. An inactive unit takes 18 T, and
10 more each 16. An active one takes 127 and 8 for each bit of the shift beyond its column's walk.
"""

from __future__ import annotations

from kernels.encodings.threaded_lists import Column
from kernels.z80.columns import Walk, starts, write_columns

_GROUP = 16
_INACTIVE = 0x7F


def scan_sums(walk: Walk, sums: str, shift: int, columns: list[Column]) -> None:
    """Write the scan of one block of units, and their columns.

    sums: address of the page of their low bytes. shift: of the sums, to the right.
    """
    _write_columns(walk, columns)
    _Scan(walk, sums, shift, len(columns)).write()


def _write_columns(walk: Walk, columns: list[Column]) -> None:
    """Low bytes of the columns' addresses in one page, high bytes in the next, then the columns."""
    job = walk.job
    write_columns(job.table(f"{walk.name}_columns"), job, columns, walk.acc_bytes)
    table = job.table(f"{walk.name}_starts", align=256)
    addresses = [f"{walk.label('columns')}+{start}" for start in starts(columns)]
    for address in addresses:
        table.emit(f".byte ({address})&0xff")
    table.emit(f".space {256 - len(addresses)}")
    for address in addresses:
        table.emit(f".byte ({address})>>8")


class _Scan:
    def __init__(self, walk: Walk, sums: str, shift: int, units: int) -> None:
        self.walk, self.sums, self.shift, self.units = walk, sums, shift, units
        self.out = walk.job.code

    def write(self) -> None:
        out, label = self.out, self.walk.label
        self.walk.begin()
        out.emit(f"""
            ld ix,{label("walked")}
            exx
            ld hl,{self.sums}+0x1ff     ; the unit before the first
            ld d,h
            ld b,{label("starts")}>>8
            jp {label("scan")}
        """)
        self._active()
        out.emit(f"""
        {label("walked")}:
            exx
            ld l,e
        {label("go_on")}:
            ld h,d
        {label("scan")}:
            ld a,{_INACTIVE}
        {label("next")}:
        """)
        out.emit(f"inc l\ncp (hl)\njr c,{label('active')}\n" * _GROUP)
        out.emit(f"jp {label('next')}")
        self._zero()
        if self.walk.added > 1:
            self._wide()
        out.emit(f"{label('scanned')}:\nexx")

    def _active(self) -> None:
        """One unit's value, and into its column."""
        out, label = self.out, self.walk.label
        out.emit(f"""
        {label("active")}:
            ld a,(hl)                   ; high byte of the sum, with bit 7
            ld e,l
            dec h
            ld c,(hl)
        """)
        out.emit("rrca\nrr c\n" * self.shift if self.shift else "inc c\ndec c")
        out.emit(f"jp z,{label('zero')}")
        if self.walk.added > 1:
            out.emit(f"and {self._upper}\njp nz,{label('wide')}")
        self._find_column("ld sp,hl")
        out.emit("ld a,c\nexx\nld c,a\nret")

    @property
    def _upper(self) -> int:
        """What is left of the high byte: the bits that were not shifted out, without bit 7."""
        return _INACTIVE >> self.shift

    def _find_column(self, use: str) -> None:
        """Its address from the two pages of the table."""
        self.out.emit(f"""
            ld h,b
            ld a,(hl)
            inc h
            ld h,(hl)
            ld l,a
            {use}
        """)

    def _zero(self) -> None:
        """The low byte of a unit's value is zero: mostly all of it, and so is the end's."""
        out, label = self.out, self.walk.label
        out.emit(f"{label('zero')}:")
        if self.walk.added > 1:
            out.emit(f"and {self._upper}\njr nz,{label('wide')}")
        out.emit(f"""
            ld a,e
            cp {self.units}
            jp nz,{label("go_on")}
            jp {label("scanned")}
        """)

    def _wide(self) -> None:
        """The value is A and C: byte by byte."""
        out, label = self.out, self.walk.label
        self.walk.scratch_bytes()
        out.emit(f"""
        {label("wide")}:
            ld ({label("x")}+1),a
            ld a,c
            ld ({label("x")}),a
        """)
        self._find_column(f"ld ({label('column')}),hl")
        out.emit("exx")
        self.walk.add_bytes()
        out.emit(f"ld ix,{label('walked')}\njp (ix)")
