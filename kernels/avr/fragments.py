"""Straight-line code for AVR: a fragment per input that adds it to a block's accumulators.

    table: one jump per input, then a RET for the end of the list
    fragment: add or subtract r24 at each output; take the next pair of index and byte; jump

The table begins at an address whose low byte, in words, is 0, so the index is the low byte of where
to jump. Jumps reach 4 KiB, so some fragments lie before the table and others behind it. Inputs with
the same weights share a fragment. Of an input that is not hot, the end is a jump into a fragment
with the same end, or to a common end.

Registers: r24 the byte, r25 zero, X the list, r31 the table's high byte; accumulators in r0..r23,
r28, r29. From fragment to fragment 8 cycles, 10 where the end is shared; an addition takes as many
as accumulators have bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from kernels.asm import Assembly
from kernels.emit import Job
from kernels.encodings.straight_line import Addition, Fragment

REGISTERS = (*range(24), 28, 29)
PAGE = 512
_REACH = 4094
_NEXT = 6


@dataclass
class _Run:
    """Additions one after the other; then a jump, or the next dispatch if there is none."""

    label: str
    additions: list[Addition]
    jump: str | None = None
    labels: dict[int, str] = field(default_factory=dict)  # by how many additions are behind it


@dataclass(frozen=True, eq=False)
class Fragments:
    """The code of one block of outputs and one segment of inputs.

    hot: which of the inputs have ends of their own.
    """

    name: str
    fragments: Sequence[Fragment]
    hot: frozenset[int]
    width: int
    features: frozenset[str]

    @property
    def table(self) -> str:
        """Where the table begins, as an expression."""
        return f"{self.name} + {self._before}"

    @property
    def entry(self) -> str:
        """The subroutine that walks the list at X."""
        return f"{self.name}_next"

    @property
    def reaches(self) -> bool:
        """Whether all jumps of the table reach."""
        table = 2 * (len(self.fragments) + 1)
        behind = sum(self.size_of(run) for run in self._runs[self._split :])
        if any(run.jump for run in self._runs):
            return self._before + table + behind <= _REACH
        return self._before + table <= _REACH and behind + table <= _REACH

    def write(self, out: Assembly) -> None:
        """Write all; the text's start is to be aligned to PAGE."""
        first = out.size
        for run in self._runs[: self._split]:
            self._write_run(out, run)
        gap = self._before - (out.size - first)
        if gap:
            out.emit(f".space {gap}")
        for entry in self._entries:
            out.emit(f"rjmp  {entry} ; #{self.name}_table")
        out.emit(f"ret ; #{self.name}_table")
        for run in self._runs[self._split :]:
            self._write_run(out, run)

    def next(self) -> str:
        """Lines that take the next pair and jump."""
        jump = "eijmp" if "EIJMP" in self.features else "ijmp"
        return f"ld    r30, X+\nld    r24, X+\n{jump} ; #{self.name}_jump"

    def promise(self, job: Job, jumps: int, additions: int) -> None:
        """How often fragments are jumped to, the list's end included, and all additions."""
        job.jumps(f"{self.name}_jump", f"{self.name}_table")
        job.at_most(f"{self.name}_jump", jumps)
        job.at_most(f"{self.name}_add", additions)

    @cached_property
    def _plan(self) -> tuple[list[_Run], list[str]]:
        """The runs, and where each input's fragment begins."""
        runs = [_Run(self.name, [], labels={0: self.entry})]
        known: dict[Fragment, tuple[_Run, int]] = {(): (runs[0], 0)}
        order = sorted(range(len(self.fragments)), key=lambda i: (i not in self.hot, i))
        begins: dict[int, str] = {}
        for i in order:
            fragment = self.fragments[i]
            tail = len(fragment)
            while fragment[len(fragment) - tail :] not in known:
                tail -= 1
            if i in self.hot and tail < len(fragment):
                tail = -1
            begins[i] = self._place(fragment, tail, runs, known)
        entries = [begins[i] for i in range(len(self.fragments))]
        return runs, entries

    def _place(
        self,
        fragment: Fragment,
        tail: int,
        runs: list[_Run],
        known: dict[Fragment, tuple[_Run, int]],
    ) -> str:
        """Where the fragment begins: in a run that exists, or in a new one.

        tail: how many additions at its end are shared; -1 for not even the dispatch.
        """
        jump = None
        if tail >= 0:
            run, behind = known[fragment[len(fragment) - tail :]]
            jump = run.labels.setdefault(behind, f"{run.label}_{behind}")
            if tail == len(fragment):
                return jump
        own = list(fragment[: len(fragment) - max(tail, 0)])
        run = _Run(f"{self.name}_{len(runs)}", own, jump)
        runs.append(run)
        for behind in range(1, len(own) + 1):
            known.setdefault(fragment[len(own) - behind :], (run, behind))
        return run.labels.setdefault(len(own), f"{run.label}_{len(own)}")

    @property
    def _runs(self) -> list[_Run]:
        return self._plan[0]

    @property
    def _entries(self) -> list[str]:
        return self._plan[1]

    def size_of(self, run: _Run) -> int:
        """Bytes."""
        return 2 * self.width * len(run.additions) + (2 if run.jump else _NEXT)

    @cached_property
    def _split(self) -> int:
        """How many runs lie before the table: as many as fill whole pages, of about a half."""
        half = sum(self.size_of(run) for run in self._runs) // 2 // PAGE * PAGE
        size = 0
        for number, run in enumerate(self._runs):
            size += self.size_of(run)
            if size > half:
                return number
        return len(self._runs)

    @cached_property
    def _before(self) -> int:
        """Bytes before the table, whole pages."""
        size = sum(self.size_of(run) for run in self._runs[: self._split])
        return -(-size // PAGE) * PAGE

    def _write_run(self, out: Assembly, run: _Run) -> None:
        for number, (unit, sign) in enumerate(run.additions):
            self._label(out, run, len(run.additions) - number)
            low, *rest = REGISTERS[unit * self.width : (unit + 1) * self.width]
            add, carry = ("add", "adc") if sign > 0 else ("sub", "sbc")
            lines = [
                f"{add}   r{low}, r24 ; #{self.name}_add",
                *(f"{carry}   r{high}, r25" for high in rest),
            ]
            out.emit("\n".join(lines))
        self._label(out, run, 0)
        out.emit(f"rjmp  {run.jump}" if run.jump else self.next())

    @staticmethod
    def _label(out: Assembly, run: _Run, behind: int) -> None:
        if behind in run.labels:
            out.emit(f"{run.labels[behind]}:")
