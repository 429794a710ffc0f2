"""What pattern lists do between their lists: the sums of some rows, which meet R as weights change.

A row's sum gains R where its weight falls by a step, and loses it where that rises; at the end it
is multiplied by the step, and gains R times the last weight. The first row changes most often: what
it gains is in IX, what it loses in IY. The other rows' sums are in SRAM. A row's first change falls
and sets its sum, so none has to be cleared.

T-states: the first row's changes 19, which lists go on with, or 16 each one's first time; another
row's falls 54 (24 the first time), its rises 62; and 10 for RET, but where a list goes on. With
sums above 16 bits: a test of the carry, 12, or 34 and 28 where it happens, and 27 more for a row's
first change.

Registers: A, D is R, HL inputs in the page H; BC may hold an index. Clobbers E, L.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from kernels.emit import Job
from kernels.encodings.pattern_lists import changes, patterns
from kernels.z80.row_sums import RowSums


@dataclass(frozen=True, slots=True)
class _Step:
    """A change of a row's weight. sets: whether the sum, or IY, has no value yet."""

    row: int
    falls: bool
    sets: bool

    @property
    def name(self) -> str:
        """Part of a label."""
        if self.sets:
            return f"{'gain' if self.falls else 'lose'}_first{self.row}"
        return f"{'gain' if self.falls else 'lose'}{self.row}"


@dataclass(frozen=True)
class PatternSums:
    """Code of one block of inputs. sums: where rows end. at: symbol of the sums in between.

    prefix: of labels. thread: the name of the jumps. page: where inputs lie. first: whether no
    earlier block of inputs has left sums.
    """

    job: Job
    sums: RowSums
    values: range
    at: str
    prefix: str
    thread: str
    page: str
    first: bool

    @property
    def adds_bias(self) -> bool:
        """Whether the rows' biases are popped at their end."""
        return self.first and self.sums.direct

    @property
    def _wide(self) -> bool:
        return self.sums.size > 2

    @property
    def _rows(self) -> int:
        return self.sums.group

    def _place(self, row: int, byte: int = 0) -> str:
        return f"{self.at}+{3 * row + byte}"

    @cached_property
    def _steps(self) -> list[_Step]:
        """What lies between each two lists."""
        found: list[_Step] = []
        for change in changes(self.values, self._rows):
            step = _Step(change.row, change.falls, sets=True)
            known = step in found or (change.row > 0 and not change.falls)
            found.append(_Step(change.row, change.falls, sets=not known))
        return found

    @cached_property
    def names(self) -> list[str]:
        """What changes between each two lists."""
        return [step.name for step in self._steps]

    @cached_property
    def tails(self) -> dict[str, str]:
        """Code of what happens most often, by its name: it may follow a list without a jump."""
        steps = set(self._steps)
        return {step.name: self._add(step) for step in steps if step.row == 0 and not step.sets}

    def label(self, name: str) -> str:
        """Where a thread finds the code of a change."""
        return f"{self.prefix}_{name}"

    @property
    def row_end(self) -> str:
        """What a thread has behind the last list."""
        return f"{self.prefix}_row_end"

    def write_changes(self, met: Mapping[str, int]) -> None:
        """Write those that are met, as many times; they are left to the next list or change."""
        for step in dict.fromkeys(self._steps):
            if step.name in met:
                label = self.label(step.name)
                self.job.jumps(self.thread, label)
                self.job.at_most(label, met[step.name])
                change = self._set(step) if step.sets else self._add(step)
                self.job.code.emit(f"{label}:\n{change}\nret ; #{self.thread}")

    def _set(self, step: _Step) -> str:
        index = "ix" if step.falls else "iy"
        lines = f"ld e,a\nld ({self._place(step.row)}),de"
        if step.row == 0:
            lines = f"ld {index}l,a\nld {index}h,d"
        if self._wide and step.falls:
            lines += f"\nld hl,{self._place(step.row, 2)}\nld (hl),0\nld h,{self.page}>>8"
        return lines

    def _add(self, step: _Step) -> str:
        """R onto a sum, or off it."""
        carry = f"ld hl,{self._place(step.row, 2)}\n{'inc' if step.falls else 'dec'} (hl)"
        restore = f"ld h,{self.page}>>8"
        if step.row == 0:
            more = f"\njr nc,$+8\n{carry}\n{restore}" if self._wide else ""
            return f"ld e,a\nadd {'ix' if step.falls else 'iy'},de{more}"
        more = f"jr nc,$+6\n{carry}\n" if self._wide else ""
        return f"""
            ld e,a
            ld hl,({self._place(step.row)})
            {"add hl,de" if step.falls else f"or a{chr(10)}sbc hl,de"}
            ld ({self._place(step.row)}),hl
            {more}{restore}
        """

    def write_row_end(self) -> None:
        """Every row's sum to where HL' points, or onto what earlier blocks have left there.

        Left with the register set of that pointer. Clobbers A, BC, HL.
        """
        self.job.jumps(self.thread, self.row_end)
        out, last = self.job.code, patterns(self.values, self._rows)[-1]
        out.emit(f"{self.row_end}:\nld e,a")
        for row in range(self._rows):
            out.emit("exx" if row else "")
            out.emit(self._load(row))
            out.emit(self._scale(last[row]))
            out.emit("pop bc                      ; bias\nadd hl,bc" if self.adds_bias else "")
            out.emit(self._store())

    def _load(self, row: int) -> str:
        """A row's sum into HL, and A above it."""
        if row:
            third = f"ld a,({self._place(row, 2)})" if self._wide else ""
            return f"ld hl,({self._place(row)})\n{third}"
        lines = "ld b,ixh\nld c,ixl\nld h,b\nld l,c\n"
        lost = any(step.row == 0 and not step.falls for step in self._steps)
        if lost:
            lines += "ld b,iyh\nld c,iyl\nor a\nsbc hl,bc\n"
        if self._wide:
            lines += f"ld a,({self._place(0, 2)})\n" + ("sbc a,0\n" if lost else "")
        return lines

    def _scale(self, last: int) -> str:
        """Times the step, and R times the last weight."""
        double = "add hl,hl\n" + ("adc a,a\n" if self._wide else "")
        lines = double * (-self.values.step // 2)
        if last > 0:
            return lines + ("add hl,de\n" + ("adc a,0\n" if self._wide else "")) * last
        return lines + ("or a\nsbc hl,de\n" + ("sbc a,0\n" if self._wide else "")) * -last

    def _store(self) -> str:
        size = self.sums.size
        lines = "ld c,a\n" if self._wide else ""
        lines += "rla\nsbc a,a\nld b,a\n" if size > 3 else ""
        for number, half in enumerate("lhcb"[:size]):
            add = "" if self.first else f"{'adc' if number else 'add'} a,(hl)\n"
            lines += "exx\n" if number else ""
            lines += f"ld a,{half}\nexx\n{add}ld (hl),a\ninc hl\n"
        return lines
