"""Linear with straight-line weights on Z80: what an active input adds is code of its own.

Accumulators lie in RAM as words (three bytes each at 24 bits), low byte first. Input after input is
looked at, and where it is not zero its column follows (straight_column.py), 32 T an event, else it
is jumped over. Code lies in banks where there are any and goes on from one to the next (road.py).

Between two such layers sums stay as they are (words.py): the next layer adds shared sums to each as
it looks at it. Sums of a byte (sums8.py) are read, too. Inputs beyond a byte walk their columns
again and again, 255 at a time.

Looking at an input takes, if it is inactive and if it is active, its column aside:

    bytes                    27 T     31 T
    int16                    34 T     63 T
    words, shifted by two    34 T     87 T, and in both cases 11 to 39 T for each shared sum
    sums of a byte           30 T     79 T, and 4 T for each bit of the gain

where inputs may be more than a byte. A jump over carries at a column's end takes 10 T.

The stack pointer stays a stack pointer but while start values are pushed.
"""

from __future__ import annotations

from dataclasses import dataclass

from kernels.emit import Job, emitter
from kernels.encodings import straight_line
from kernels.ops.linear import Linear
from kernels.requant_plan import plan_requantization
from kernels.z80.count_in_memory import count_in_memory
from kernels.z80.counters import count_in_registers
from kernels.z80.road import Road
from kernels.z80.straight_column import Event, events, straight_column
from kernels.z80.sums8 import SUMS8, Bytes, check_kept, sums8
from kernels.z80.words import STEP, WORDS
from kernels.z80.words_layer import Look, WordsLayer


@emitter(
    "z80",
    Linear,
    straight_line.NAME,
    reads=(WORDS, SUMS8),
    writes=(WORDS, SUMS8),
    profile=("rates",),
    keeps=True,
)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R. Stack: at most four bytes."""
    layer = job.node
    assert isinstance(layer, Linear)
    known = job.ranges[layer.input.name]
    if job.kept:
        check_kept(job)
    handed = sums8(layer, known) if job.writes is SUMS8 else None
    if handed:
        count(job, layer, handed)
    else:
        whole = _StraightLine(job, layer, plan_requantization(layer, known))
        whole.check()
        whole.write()


def count(job: Job, layer: Linear, known: Bytes) -> None:
    """Write a layer whose sums have a byte each, in registers if that can be."""
    size = 256 * (len(known.blocks) - 1) + len(known.blocks[-1].units) + 4
    job.output_buffer(size, align=256)
    if not count_in_registers(job, layer, known):
        count_in_memory(job, layer, known)


@dataclass(frozen=True)
class _StraightLine(WordsLayer):
    encoding = straight_line.NAME

    def walk(self, road: Road) -> None:
        """Look at all inputs, and walk the columns of those that are active."""
        fragments = straight_line.encode(self.sharing.weights)
        inputs = self.inputs([number for number, one in enumerate(fragments) if one])
        if any(one.wide for one in inputs):
            self.job.code.emit(f"ld hl,0\nld ({self.job.scratch('rest', 2)}),hl\nld b,l")
            self._write_more()
        for one in inputs:
            label = self.job.label(f"i{one.number}")
            column = events(fragments[one.number], self.places, label)
            self.add(road, self._column(one, column, label))

    def _column(self, one: Look, column: list[Event], label: str) -> str:
        end = stubs = ""
        if one.wide:
            end = f"ld a,b\nand {one.upper}\njp nz,{label}_again"
            stubs = f"{one.stub}\n{label}_again:\nld ix,{label}_column"
            stubs += f"\njp {self.job.label('more')}"
            self.job.at_most(f"{label}_column", one.walks)
            self.job.jumps(self.job.label("walk"), f"{label}_column")
        high = f"ld b,{one.high}" if one.high else ""
        steps = one.load, one.value, high, f"ld c,{one.low}", f"{label}_column:\n"
        text = "\n".join(step for step in steps if step)
        return text + straight_column(self.sums, column, self.acc_bytes, (end, stubs), label)

    def _write_more(self) -> None:
        """Walk a column, at IX, with what is left of an input: A is its high byte at first.

        DE stays.
        """
        rest, label = self.job.label("rest"), self.job.label
        self.job.subroutine(label("more")).emit(f"""
            ld c,a
            ld hl,({rest})
            ld a,h
            or l
            jr nz,{label("left")}
            ld h,c                      ; the first time
        {label("left")}:
            ld bc,{STEP}
            or a
            sbc hl,bc
            jr nc,{label("whole")}
            add hl,bc
            ld c,l
            ld hl,0
        {label("whole")}:
            ld ({rest}),hl
            ld a,h
            or l
            jr z,{label("last")}
            inc b                       ; and once more
        {label("last")}:
            jp (ix) ; #{label("walk")}
        """)
