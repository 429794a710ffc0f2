"""Columns of weights in memory: how a scan's active input reaches them, and a column's walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.bounds import Bounds
from kernels.emit import Job
from kernels.encodings.threaded_gaps import Column, GapRun, size
from kernels.encodings.threaded_lists import Run
from kernels.z80.chains import END, ENTER, EVENT, RUN, entry
from kernels.z80.gaps import gap_entry


@dataclass(frozen=True)
class Walk:
    """A block of accumulators, and what a scan adds to them.

    pages: symbol of their first page. added: the most bytes that an input adds there, from the
    lowest on; the last is a repeated sign where the input has fewer. shift: of inputs, to the left.
    known: bounds of the inputs that are scanned.
    """

    job: Job
    name: str
    pages: str
    acc_bytes: int
    added: int
    shift: int
    known: Bounds

    def most(self, byte: int) -> int:
        """How many inputs have anything in that byte at once."""
        least = max(1, -(-(1 << 8 * byte) >> self.shift))
        return self.known.reaching(least, len(self.known.lows))

    @property
    def most_wide(self) -> int:
        """How many inputs may take more than one walk of their columns at once."""
        return self.known.reaching(2, len(self.known.lows)) if self.repeats else self.most(1)

    def promise(self, columns: Sequence[Column], *back: str) -> None:
        """How often columns are walked, and where a walk may end, besides at these labels."""
        done = [self.label(f"byte{byte}_done") for byte in range(self.added)]
        ends = [self.label("walked"), *done, *back]
        code = self.job.code.labels
        self.job.jumps(END, *(end for end in ends if end in code))
        events = [sum(map(_events, column)) for column in columns]
        runs, walks = [len(column) for column in columns], [1] * len(columns)
        for name, counts in ((EVENT, events), (RUN, runs), (END, walks)):
            self.job.at_most(name, self._together(np.array(counts, np.int64)))

    def _together(self, counts: NDArray[np.int64]) -> int:
        """The most that these counts, of a walk of each column, can sum up to."""
        if self.repeats:
            return int(self.known.products(counts[np.newaxis], 0)[1][0])
        ordered = np.sort(counts)[::-1]
        return sum(int(ordered[: self.most(byte)].sum()) for byte in range(self.added))

    @property
    def repeats(self) -> bool:
        """Whether a column is walked as often as the input says, one step each time."""
        return self.acc_bytes == 1

    def label(self, name: str) -> str:
        """A symbol of this walk's own."""
        return self.job.label(f"{self.name}_{name}")

    @property
    def enter(self) -> str:
        """How a column is entered whose address is SP."""
        return ENTER

    def begin(self) -> None:
        """The page of the lowest bytes, which all columns of a byte are added to."""
        self.job.code.emit(f"ld h,({self.pages})>>8")

    def add_bytes(self) -> None:
        """Walk a column once for each byte of the input that is not zero, on that byte's page.

        Entered with the main registers, the input in the scratch `x` and the column's address in
        `column`. Clobbers AF, BC, DE, L, IX.
        """
        out = self.job.code
        if self.shift:
            out.emit("ld hl,({})".format(self.label("x")))
            out.emit("add hl,hl\n" * self.shift)
            out.emit("ld ({}),hl".format(self.label("x")))
        for byte in range(self.added):
            done = self.label(f"byte{byte}_done")
            load = f"ld a,({self.label('x')}+{min(byte, 1)})"
            out.emit(f"""
                {load}
                {"rla" if byte == 2 else ""}
                {"sbc a,a" if byte == 2 else ""}
                or a
                jp z,{done}
                ld c,a ; #{self.label(f"byte{byte}")}
                ld h,({self.pages}+{256 * byte})>>8
                ld ix,{done}
                ld sp,({self.label("column")})
                {ENTER}
            {done}:
            """)
            self.job.at_most(self.label(f"byte{byte}"), self.most(byte))
        self.begin()

    def repeat(self) -> None:
        """Walk a column C times; its address is in `column`. Clobbers AF, BC, DE, L, IX."""
        once = np.ones(len(self.known.lows), np.int64)
        self.job.at_most(self.label("again"), self._together(once))
        self.job.code.emit(f"""
        {self.label("again")}:
            ld ix,{self.label("walked")}
            ld sp,({self.label("column")})
            {ENTER}
        {self.label("walked")}:
            dec c
            jp nz,{self.label("again")}
        """)

    def scratch_bytes(self) -> None:
        """Ask for what `add_bytes` is entered with."""
        self.job.scratch(f"{self.name}_x", 2)
        self.job.scratch(f"{self.name}_column", 2)


def write_columns(out: Assembly, job: Job, columns: Sequence[Column], acc_bytes: int) -> None:
    """Runs, each as the address where it is entered and its data.

    The last POP of a column may bring one byte more than is left of it, so something must follow.
    """
    for column in columns:
        for run in column:
            if isinstance(run, GapRun):
                label, head = gap_entry(job, run, acc_bytes), [run.first, run.groups]
            else:
                label, head = entry(job, run, acc_bytes), []
            job.jumps(RUN, label)
            out.emit(f".word {label}")
            out.data(".byte", head)
            out.data(".byte", run.data)


def _events(run: Run | GapRun) -> int:
    return len(run.gaps) if isinstance(run, GapRun) else run.events


def starts(columns: Sequence[Column]) -> list[int]:
    """Where each column begins, from the first."""
    return [0, *accumulate(size([column]) for column in columns[:-1])]
