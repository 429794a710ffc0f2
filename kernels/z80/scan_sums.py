"""The scan of units whose raw sums the layer before has left: requantization on the fly.

Registers: HL' a unit's high byte, D' that page, B' the table of columns' addresses, A 0x7f, IX
where a column's end goes; E' the unit while its column is walked. An inactive unit takes 18 T, and
10 more each 16. An active one takes 115 T beyond its column's walk, 12 for each bit of the shift,
and 14 where values may be more than a byte.
"""

from __future__ import annotations

from kernels.encodings.threaded_gaps import Column
from kernels.z80.column_table import write_table
from kernels.z80.columns import Walk

_GROUP = 16
_INACTIVE = 0x7F


def scan_sums(walk: Walk, sums: str, shift: int, columns: list[Column]) -> None:
    """Write the scan of one block of units, and their columns.

    sums: address of the page of their low bytes. shift: of the sums, to the right.
    """
    write_table(walk, columns)
    _Words(walk, sums, shift, columns).write()


class Scan:
    """The scan of one block of units; subclasses know what their sums look like.

    inactive: the largest byte of those looked at that is of no active unit.
    """

    def __init__(self, walk: Walk, looked_at: str, inactive: int, columns: list[Column]) -> None:
        """looked_at: address of the page that is looked at."""
        self.walk, self.looked_at, self.inactive = walk, looked_at, inactive
        self.columns, self.units, self.out = columns, len(columns), walk.job.code

    def write(self) -> None:
        """Write the scan."""
        walk, out, label = self.walk, self.out, self.walk.label
        self.walk.begin()
        out.emit(f"""
            ld ix,{label("walked")}
            exx
            ld hl,{self.looked_at}+0xff ; the unit before the first
            ld d,h
            ld b,{label("starts")}>>8
            jp {label("scan")}
        {label("active")}:
        """)
        self.active()
        out.emit(f"""
        {label("walked")}:
            exx
            ld l,e
        {label("go_on")}:
            ld h,d
        {label("scan")}:
            ld a,{self.inactive}
        {label("next")}:
        """)
        look = f"inc l ; #{label('looked')}\ncp (hl)\njr c,{label('active')}\n"
        walk.job.at_most(label("looked"), self.units + 1)
        out.emit(look * _GROUP)
        out.emit(f"jp {label('next')}")
        self.seldom()
        out.emit(f"{label('scanned')}:\nexx")
        walk.promise(self.columns)
        walk.job.jumps(label("resume"), label("walked"))

    def active(self) -> None:
        """What is done with the unit at HL': its value, and into its column."""
        raise NotImplementedError

    def seldom(self) -> None:
        """What `active` jumps to: large values, zero, and the end, which goes to `scanned`."""
        raise NotImplementedError

    def find_column(self, use: str) -> None:
        """Its address from the two pages of the table, the first of which is H."""
        self.out.emit(f"""
            ld a,(hl)
            inc h
            ld h,(hl)
            ld l,a
            {use}
        """)


class _Words(Scan):
    """Sums of two bytes, of which the high one is looked at. shift: of the sums, to the right."""

    def __init__(self, walk: Walk, sums: str, shift: int, columns: list[Column]) -> None:
        super().__init__(walk, f"{sums}+0x100", _INACTIVE, columns)
        self.shift = shift

    def active(self) -> None:
        """The value is C; what is above it in A must be zero."""
        out, label = self.out, self.walk.label
        out.emit("""
            ld a,(hl)                   ; high byte of the sum, with bit 7
            ld e,l
            dec h
            ld c,(hl)
        """)
        out.emit("rrca\nrr c\n" * self.shift if self.shift else "inc c\ndec c")
        out.emit(f"jr z,{label('zero')}")
        if self.walk.added > 1:
            out.emit(f"and {self._upper}\njr nz,{label('wide')}")
        out.emit("ld h,b")
        self.find_column("ld sp,hl")
        out.emit(f"ld a,c\nexx\nld c,a\n{self.walk.enter}")

    @property
    def _upper(self) -> int:
        """What is left of the high byte: the bits that were not shifted out, without bit 7."""
        return _INACTIVE >> self.shift

    def seldom(self) -> None:
        """A low byte of zero is mostly the whole value, or the end; a high byte makes it wide."""
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
        if self.walk.added > 1:
            self._wide()

    def _wide(self) -> None:
        """The value is A and C: byte by byte."""
        out, label = self.out, self.walk.label
        self.walk.scratch_bytes()
        self.walk.job.at_most(label("wide"), self.walk.most_wide)
        out.emit(f"""
        {label("wide")}:
            ld ({label("x")}+1),a
            ld a,c
            ld ({label("x")}),a
            ld h,b
        """)
        self.find_column(f"ld ({label('column')}),hl")
        out.emit("exx")
        self.walk.add_bytes()
        out.emit(f"ld ix,{label('walked')}\njp (ix) ; #{label('resume')}")
