"""Writing an active list on AVR, one activation after the other, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kernels.asm import Assembly
from kernels.avr.active_list import ActiveList, list_of
from kernels.avr.memory import point
from kernels.emit import Job, tensor_symbol


@dataclass(frozen=True)
class ListOutput:
    """Appends to the lists of a job's output, at Y or X. Clobbers r25, and of X and Z the other.

    The pointer into the list of high bytes is kept in SRAM, since it is seldom used.
    """

    job: Job
    pointer: str = "Y"

    @cached_property
    def lists(self) -> ActiveList:
        """Where the lists lie."""
        output = self.job.node.output
        x = self.job.ranges[output.name]
        found = list_of(tensor_symbol(output), output.count, x, 0, output.dtype.size)
        self.job.output_buffer(found.size)
        return found

    @cached_property
    def _cell(self) -> str:
        """The pointer into the list of high bytes, and behind it the other, while it pauses."""
        return self.job.scratch("lists", 4)

    def begin(self) -> None:
        """Empty lists; a list at X pauses."""
        out = self.job.code
        if self.pointer == "Y":
            out.emit(point("Y", self.lists.address(0, 0)))
        else:
            out.emit(point("X", self.lists.address(0, 0)))
            self.pause()
        if self.lists.digits > 1:
            high = self.lists.address(1, 0)
            out.emit(f"ldi   r25, lo8({high})\nsts   {self._cell}, r25")
            out.emit(f"ldi   r25, hi8({high})\nsts   {self._cell} + 1, r25")

    def pause(self) -> None:
        """Keep the pointer."""
        low = self._low
        self.job.code.emit(f"sts   {self._cell} + 2, r{low}\nsts   {self._cell} + 3, r{low + 1}")

    def resume(self) -> None:
        """Take it up again."""
        low = self._low
        self.job.code.emit(f"lds   r{low}, {self._cell} + 2\nlds   r{low + 1}, {self._cell} + 3")

    @property
    def _low(self) -> int:
        """The pointer's lower register."""
        return {"X": 26, "Y": 28}[self.pointer]

    def put(self, out: Assembly, prefix: str, value: int, index: str) -> None:
        """Append the activation in registers `value` up, of the output whose number is in one."""
        out.emit(f"tst   r{value}\nbreq  {prefix}_next\nst    Y+, {index}\nst    Y+, r{value}")
        out.emit(f"{prefix}_next:")
        if self.lists.digits > 1:
            out.emit(f"tst   r{value + 1}\nbreq  {prefix}_small")
            self._put_high(out, "X", index, f"r{value + 1}")
            out.emit(f"{prefix}_small:")

    def put_in_place(self, out: Assembly, skip: str, value: tuple[int, ...], index: str) -> None:
        """Append an activation at Y that stands in any registers, the lowest first."""
        out.emit(f"tst   r{value[0]}\nbreq  {skip}_next")
        out.emit(f"st    Y+, {index}\nst    Y+, r{value[0]}\n{skip}_next:")
        if self.lists.digits > 1:
            out.emit(f"tst   r{value[1]}\nbreq  {skip}_small\nmov   r24, {index}")
            out.emit(f"mov   r25, r{value[1]}\n{self._call} {self.routine()}\n{skip}_small:")

    def put_constant(
        self, out: Assembly, skip: str, value: tuple[int, ...], number: int, *, unless: str
    ) -> None:
        """Append an activation, lowest register first, of an output; clobbers r24.

        unless: lines that go to the label `skip`_next if the lowest byte is zero. An activation
        above zero may do without them.
        """
        out.emit(f"ldi   r24, {number}\n{unless}")
        out.emit(f"st    X+, r24\nst    X+, r{value[0]}\n{skip}_next:")
        if self.lists.digits > 1:
            out.emit(f"tst   r{value[1]}\nbreq  {skip}\nmov   r25, r{value[1]}")
            out.emit(f"{self._call} {self.routine()}")

    @property
    def _call(self) -> str:
        return "call " if "JMP" in self.job.target.features else "rcall"

    def routine(self, index: str = "r24") -> str:
        """The subroutine that appends an index and r25 to the list of high bytes."""
        label = self.job.label("put_high")
        if label not in self.job.subroutines:
            out = self.job.subroutine(label)
            self._put_high(out, "Z", index, "r25")
            out.emit("ret")
        return label

    def _put_high(self, out: Assembly, pointer: str, index: str, value: str) -> None:
        low = {"X": 26, "Z": 30}[pointer]
        out.emit(f"""
                lds   r{low}, {self._cell}
                lds   r{low + 1}, {self._cell} + 1
                st    {pointer}+, {index}
                st    {pointer}+, {value}
                sts   {self._cell}, r{low}
                sts   {self._cell} + 1, r{low + 1}
        """)

    def end(self) -> None:
        """Mark the lists' ends."""
        out = self.job.code
        if self.pointer == "X":
            self.resume()
        out.emit(f"ldi   r25, {self.job.node.output.count}\nst    {self.pointer}, r25")
        if self.lists.digits > 1:
            out.emit(f"lds   r26, {self._cell}\nlds   r27, {self._cell} + 1\nst    X, r25")
