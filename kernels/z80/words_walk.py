"""Columns of threaded words in memory, and how often an input walks its own: 255 at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.z80.chains import ENTER
from kernels.z80.columns import Walk
from kernels.z80.words import STEP


@dataclass(frozen=True)
class WordsWalk(Walk):
    """As Walk, with sums that lie as words on one page or more. turned: whether columns leave H."""

    turned: bool = False

    @property
    def enter(self) -> str:
        """Onward runs have stepped H."""
        return f"ld h,({self.pages})>>8\n{ENTER}" if self.turned else ENTER

    @property
    def walks(self) -> int:
        """How often an input walks its column at most."""
        return max(1, -(-self.known.high // STEP))

    def _together(self, counts: NDArray[np.int64]) -> int:
        ordered = np.sort(counts)[::-1]
        once, again = (int(ordered[: self.most(byte)].sum()) for byte in range(2))
        return once + (self.walks - 1) * again

    def add_bytes(self) -> None:
        """Walk a column until all of the input is added; it is more than a walk adds.

        Entered with the main registers, the input in the scratch `x` and the column's address in
        `column`. Clobbers AF, BC, DE, L, IX.
        """
        label = self.label
        self.job.at_most(label("again"), self.walks * self.most(1))
        self.job.code.emit(f"""
        {label("again")}:
            ld hl,({label("x")})
            ld a,l
            ld de,-{STEP}
            add hl,de
            jr c,{label("whole")}
            ld hl,0                     ; the last walk adds what is left
            jr {label("step")}
        {label("whole")}:
            ld a,{STEP}
        {label("step")}:
            ld ({label("x")}),hl
            ld c,a
            ld h,({self.pages})>>8
            ld ix,{label("byte0_done")}
            ld sp,({label("column")})
            {ENTER}
        {label("byte0_done")}:
            ld hl,({label("x")})
            ld a,h
            or l
            jp nz,{label("again")}
        """)
        self.begin()
