"""The code that adds inputs to accumulators in SRAM, each by the nibble list of its column.

For each pair of index and byte in an active list, the column's place is looked up; then the byte is
added at each slot of its first list, and subtracted at those of its second. Low bytes of the
accumulators lie in one page; a carry goes into the page above, and ends the list at its sentinel.

Registers: X the list, r22 its end mark; r29 the page, r23 the first sentinel's slot; r20, r21 (r7)
the table of columns; r4, r5 (r6) the lists. Clobbers r0, r1, r16..r19, r24, r25, r28, Z.

Cycles: an output of a list of nibbles 10, and 2 for each 8 of them; of one of bytes 9, and 2 for
each 8; what carries 13 more; a dummy as an output. A column some 60 besides.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernels.asm import Assembly
from kernels.avr.memory import RAMPZ
from kernels.emit import Job

_UNROLL = 4
_BYTE, _SUM, _VALUE = "r18", "r19", "r16"


def columns(job: Job, above: int, walks: int, nibbles: int, of_bytes: int) -> str:
    """The subroutine for pages with so many others above; written once a program.

    walks, nibbles, of_bytes: at most so many columns are walked, with so many slots in lists of
    nibbles and of bytes.
    """
    name = f"columns{above}"
    job.at_most(f"{name}_walk", walks + 1)
    job.at_most(f"{name}_nibble", nibbles)
    job.at_most(f"{name}_byte", of_bytes)
    job.share(name, _Columns(name, above, job).write, align=2, code=True)
    return f"{name}_walk"


@dataclass(frozen=True)
class _Columns:
    name: str
    above: int
    job: Job

    def write(self, out: Assembly) -> None:
        """Write the walk over a list; it returns at its end."""
        name = self.name
        out.emit(f"""
        {name}_done:
                ret
        {name}_walk:
                ld    r30, X+                 ; input
                cp    r30, r22
                breq  {name}_done
                ld    {_VALUE}, X+
                clr   r31
                lsl   r30
                rol   r31
        """)
        self._find(out)
        out.emit(f"sbrc  r24, 0\nrjmp  {name}_bytes")
        self._nibbles(out, "add")
        self._nibbles(out, "sub")
        out.emit(f"rjmp  {name}_walk\n{name}_bytes:")
        self._bytes(out, "add")
        self._bytes(out, "sub")
        out.emit(f"rjmp  {name}_walk")

    def _find(self, out: Assembly) -> None:
        """Z from the table's offset: r24 keeps its low bit, which is set for lists of bytes."""
        far, load = self.job.far, self.load
        out.emit("add   r30, r20\nadc   r31, r21")
        if far:
            out.emit(f"mov   r0, r7\nldi   r24, 0\nadc   r0, r24\nout   {RAMPZ:#x}, r0")
        out.emit(f"{load}   r24, Z+\n{load}   r25, Z\nmovw  r30, r24\nadd   r30, r4\nadc   r31, r5")
        if far:
            out.emit(f"mov   r0, r6\nldi   r25, 0\nadc   r0, r25\nout   {RAMPZ:#x}, r0")

    @property
    def load(self) -> str:
        return "elpm" if self.job.far else "lpm"

    def _high(self) -> str:
        """Lines that step to the slot of the high nibble."""
        if "MUL" in self.job.target.features:
            return f"mul   {_BYTE}, r17\nadd   r28, r1"
        return f"mov   {_SUM}, {_BYTE}\nswap  {_SUM}\nandi  {_SUM}, 15\nadd   r28, {_SUM}"

    def _nibbles(self, out: Assembly, operation: str) -> None:
        label = f"{self.name}_{operation}"
        out.emit("clr   r28\nldi   r17, 16")
        event = f"ld    {_SUM}, Y ; #{self.name}_nibble\n{operation}   {_SUM}, {_VALUE}"
        for number in range(_UNROLL):
            out.emit(f"{label}:" if not number else "")
            out.emit(f"{self.load}   {_BYTE}, Z+\n{self._high()}\n{event}\nbrcs  {label}_high")
            out.emit(f"st    Y, {_SUM}")
            out.emit(f"{label}_low:" if not number else "")
            out.emit(f"andi  {_BYTE}, 15\nadd   r28, {_BYTE}\n{event}\nbrcs  {label}_carry")
            out.emit(f"st    Y, {_SUM}")
        out.emit(f"rjmp  {label}")
        for place, back in ((f"{label}_high", f"{label}_low"), (f"{label}_carry", label)):
            self._carry(out, operation, place, back, f"{label}_end")
        out.emit(f"{label}_end:")

    def _bytes(self, out: Assembly, operation: str) -> None:
        label = f"{self.name}_b{operation}"
        out.emit(f"{label}:")
        event = f"ld    {_SUM}, Y ; #{self.name}_byte\n{operation}   {_SUM}, {_VALUE}\n"
        event += f"brcs  {label}_carry\n"
        out.emit(f"{self.load}   r28, Z+\n{event}st    Y, {_SUM}\n" * 2 * _UNROLL)
        out.emit(f"rjmp  {label}")
        self._carry(out, operation, f"{label}_carry", label, f"{label}_end")
        out.emit(f"{label}_end:")

    def _carry(self, out: Assembly, operation: str, place: str, back: str, end: str) -> None:
        """At the sentinel the list ends; elsewhere pages above are raised or lowered by one."""
        out.emit(f"{place}:")
        if operation == "add":
            out.emit("cp    r28, r23")
        else:
            out.emit("mov   r25, r28\ndec   r25\ncp    r25, r23")
        out.emit(f"breq  {end}\nst    Y, {_SUM}")
        step, settled = ("-1", "brne") if operation == "add" else ("1", "brcc")
        for page in range(1, self.above + 1):
            out.emit(f"inc   r29\nld    {_SUM}, Y\nsubi  {_SUM}, {step}\nst    Y, {_SUM}")
            if page < self.above:
                out.emit(f"{settled}  {place}_{page}")
        for page in range(self.above, 0, -1):
            out.emit("dec   r29")
            if page > 1:
                out.emit(f"{place}_{page - 1}:")
        out.emit(f"rjmp  {back}")
