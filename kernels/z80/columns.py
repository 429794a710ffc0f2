"""Columns of weights in memory: how a scan's active input reaches them, and a column's walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from kernels.asm import Assembly
from kernels.emit import Job
from kernels.encodings.threaded_gaps import Column, GapRun, size
from kernels.z80.chains import entry
from kernels.z80.gaps import gap_entry


@dataclass(frozen=True)
class Walk:
    """A block of accumulators, and what a scan adds to them.

    pages: symbol of their first page. added: the most bytes that an input adds there, from the
    lowest on; the last is a repeated sign where the input has fewer. shift: of inputs, to the left.
    """

    job: Job
    name: str
    pages: str
    acc_bytes: int
    added: int
    shift: int

    @property
    def repeats(self) -> bool:
        """Whether a column is walked as often as the input says, one step each time."""
        return self.acc_bytes == 1

    def label(self, name: str) -> str:
        """A symbol of this walk's own."""
        return self.job.label(f"{self.name}_{name}")

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
                ld c,a
                ld h,({self.pages}+{256 * byte})>>8
                ld ix,{done}
                ld sp,({self.label("column")})
                ret
            {done}:
            """)
        self.begin()

    def repeat(self) -> None:
        """Walk a column C times; its address is in `column`. Clobbers AF, BC, DE, L, IX."""
        self.job.code.emit(f"""
        {self.label("again")}:
            ld ix,{self.label("walked")}
            ld sp,({self.label("column")})
            ret
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
                out.emit(f".word {gap_entry(job, run, acc_bytes)}")
                out.data(".byte", [run.first, run.groups])
            else:
                out.emit(f".word {entry(job, run, acc_bytes)}")
            out.data(".byte", run.data)


def starts(columns: Sequence[Column]) -> list[int]:
    """Where each column begins, from the first."""
    return [0, *accumulate(size([column]) for column in columns[:-1])]
