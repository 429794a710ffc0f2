"""The scan of units whose sums of a byte each the layer before has left (sums8.py).

Registers as in scan_sums.py; the table's first page holds what is added to each unit's value. An
inactive unit takes 18 T, and 10 more each 16. An active one takes 133 T beyond its column's walk,
and 4 for each bit of the gain.
"""

from __future__ import annotations

from kernels.encodings.threaded_gaps import Column
from kernels.z80.column_table import write_table
from kernels.z80.columns import Walk
from kernels.z80.scan_sums import Scan
from kernels.z80.sums import Block
from kernels.z80.sums8 import Bytes


def scan_sums8(walk: Walk, sums: str, known: Bytes, block: Block, columns: list[Column]) -> None:
    """Write the scan of one block of units, whose sums begin at the address `sums`."""
    write_table(walk, columns, known.rests[block.units].tolist())
    _Bytes(walk, sums, known, columns).write()


class _Bytes(Scan):
    """What is looked at is the sum."""

    def __init__(self, walk: Walk, sums: str, known: Bytes, columns: list[Column]) -> None:
        super().__init__(walk, sums, known.threshold - 1, columns)
        self.known = known

    def active(self) -> None:
        """The value is the excess over the threshold, shifted, and the unit's rest."""
        out, known, label = self.out, self.known, self.walk.label
        shift = "add a,a\n" * known.gain
        out.emit(f"""
            ld a,(hl)
            sub {known.threshold}
            ld e,l
            cp {known.narrow}
            jr nc,{label("wide")}
            {shift}
            ld h,b
            add a,(hl)                  ; x
            ld c,a
            inc h
        """)
        self.find_column("ld sp,hl")
        out.emit(f"ld a,c\nexx\nld c,a\n{self.walk.enter}")

    def seldom(self) -> None:
        """The end, or a value that may be more than a byte: its excess is A."""
        out, walk, label = self.out, self.walk, self.walk.label
        out.emit(f"""
        {label("wide")}:
            ld c,a
            ld a,e
            cp {self.units}
            jp z,{label("scanned")}
        """)
        walk.scratch_bytes()
        walk.job.at_most(label("wide"), walk.most(0) + 1)
        shift = "add hl,hl\n" * self.known.gain
        out.emit(f"""
            ld h,b
            ld a,(hl)                   ; the rest
            ld l,c
            ld h,0
            {shift}
            add a,l
            ld l,a
            jr nc,{label("stored")}
            inc h
        {label("stored")}:
            ld ({label("x")}),hl
            ld l,e
            ld h,b
            inc h
        """)
        self.find_column(f"ld ({label('column')}),hl")
        out.emit("exx")
        walk.add_bytes()
        out.emit(f"ld ix,{label('walked')}\njp (ix) ; #{label('resume')}")
