"""Linear with value lists on Z80: additions, and no product at all.

For each output R gains the inputs whose weight has the highest value, then the sum gains R, then R
those of the next value, and so on (Horner). Inputs lie in a page as u = x - lowest x, so an index
is the pointer's low byte; the lowest weight times the sum of all u is where sums start.

Lists are threaded code: SP walks them, RET jumps into the unrolled additions where as many are left
as the list has pairs, POP brings two indices. An odd one goes first, on its own.

T-states per row: 28 for each index (27 where the low byte of R carries), 21 more for an odd one
that goes alone, and 29 for each value, 41 with sums above 16 bits, 46 where their lower half
carries. Where interrupts are served: 57 (60) for each index.

Registers: A, D lower and upper byte of R; HL inputs; BC two indices; IX the sum, IY above it; HL'
where sums go; SP lists. Where interrupts are served: C, IXL R; HL inputs; DE lists; B counts
indices, IXH values; HL' the sum, DE' above it; IY where sums go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import value_lists
from kernels.encodings.value_lists import ValueLists
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.accumulators import finish
from kernels.z80.stack_pointer import borrowed, may_borrow
from kernels.z80.threaded import ADD_PAIR, add_level, write_pairs

_PAGE = 256
_COPIES = 4  # inputs copied per round


@emitter("z80", Linear, value_lists.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R; borrows SP. Stack: two bytes, or four."""
    layer = job.node
    assert isinstance(layer, Linear)
    x = job.ranges[layer.input.name]
    _ValueLists(job, layer, plan_requantization(layer, x), x.low).write()


@dataclass(frozen=True)
class _ValueLists:
    job: Job
    layer: Linear
    plan: RequantPlan
    lowest_input: int

    def write(self) -> None:
        job, layer = self.job, self.layer
        sums = job.scratch("sums", len(layer.bias) * self.plan.acc_bytes)
        start, page = job.scratch("start", 4), job.scratch("page", _PAGE, align=_PAGE)
        first = 0
        for number, size in enumerate(blocks(layer.input.count, value_lists.LARGEST_BLOCK)):
            block = value_lists.encode(layer.weights[:, first : first + size])
            part = _Block(job, layer, self.plan, block, number)
            part.copy_inputs(first, page, self.lowest_input)
            part.set_start(start)
            part.walk_rows(sums, start, page)
            first += size
        finish(job, layer, self.plan, sums, self._bias())

    def _bias(self) -> NDArray[np.int64]:
        """The lowest input times all weights is not in the sums."""
        weights = self.layer.weights.astype(np.int64).sum(axis=1) * self.lowest_input
        bias: NDArray[np.int64] = self.layer.folded_bias + (weights << self.layer.input_shift)
        return bias


@dataclass(frozen=True)
class _Block:
    """Writes one block of inputs."""

    job: Job
    layer: Linear
    plan: RequantPlan
    block: ValueLists
    number: int

    def label(self, name: str) -> str:
        """A symbol of this block's own."""
        return self.job.label(f"b{self.number}_{name}")

    @property
    def first_index(self) -> int:
        """Of the first input in the page, at whose end the last one lies."""
        return _PAGE - self.block.inputs

    def copy_inputs(self, first: int, page: str, lowest: int) -> None:
        """Inputs into the page as u, and the sum of these, which 16 bits hold, into BC."""
        loop, skipped = self.label("copy"), -self.block.inputs % _COPIES
        self.job.at_most(loop, self.block.inputs // _COPIES)
        out = self.job.code
        out.emit(f"""
            ld bc,0
            ld hl,{tensor_symbol(self.layer.input)}+{first}
            ld de,{page}+{self.first_index}
            {f"jp {loop}_entry" if skipped else ""}
        {loop}:
        """)
        for number in range(_COPIES):
            if number == skipped != 0:
                out.emit(f"{loop}_entry:")
            out.emit(f"""
                ld a,(hl)
                inc hl
                {f"sub {lowest & 0xFF}" if lowest else ""}
                ld (de),a
                add a,c
                ld c,a
                jr nc,$+3
                inc b
                inc e
            """)
        out.emit(f"jp nz,{loop}")

    def set_start(self, start: str) -> None:
        """The lowest weight times the sum of inputs: shift and add, then take it off 0."""
        out = self.job.code
        out.emit("ld d,b\nld e,c\nld hl,0\nxor a")
        for number, bit in enumerate(f"{-self.block.lowest:b}"):
            out.emit("add hl,hl\nrla" if number else "")
            out.emit("add hl,de\nadc a,0" if bit == "1" else "")
        out.emit(f"""
            ld c,a
            ld b,0
            ex de,hl
            ld hl,0
            or a
            sbc hl,de
            ld ({start}),hl
            ld hl,0
            sbc hl,bc
            ld ({start}+2),hl
        """)

    def walk_rows(self, sums: str, start: str, page: str) -> None:
        """All rows, their lists one behind the other."""
        out = self.job.code
        if may_borrow(self.job.target):
            self._write_threads()
            with borrowed(self.job, f"sp{self.number}"):
                out.emit(f"ld hl,{sums}\nexx\nld sp,{self.label('lists')}\nld h,{page}>>8")
                self._walk_threads(sums, start)
        else:
            self._write_counted_lists()
            out.emit(f"ld de,{self.label('lists')}\nld h,{page}>>8")
            self._walk_counted_lists(sums, start)

    def _write_threads(self) -> None:
        """Per list an address and its pairs, an odd index before; per row an address at its end."""
        out = self.job.consts
        step = self.job.assembly().emit(ADD_PAIR).size
        out.emit(f"{self.label('lists')}:")
        for lists in self.block.lists:
            for indices in lists:
                odd = len(indices) % 2
                inputs = indices.astype(np.int64) + self.first_index
                if odd:
                    out.emit(f".word {self.label('odd')}\n.byte {inputs[0]}")
                out.emit(f".word {self.label('level')}-{step * (len(indices) // 2)}")
                if len(indices) > 1:
                    out.data(".byte", inputs[odd:])
            out.emit(f".word {self.label('row_end')}")

    def _walk_threads(self, sums: str, start: str) -> None:
        out, wide = self.job.code, self.plan.acc_bytes > 2
        sizes = [len(indices) for lists in self.block.lists for indices in lists]
        thread = self.label("thread")
        self.job.at_most(self.label("row"), len(self.block.lists))
        self.job.at_most(self.label("odd"), sum(size % 2 for size in sizes))
        self.job.at_most(self.label("level"), len(sizes))
        self.job.jumps(thread, self.label("odd"), self.label("row_end"))
        out.emit(f"""
        {self.label("row")}:
            ld ix,({start})
            {f"ld iy,({start}+2)" if wide else ""}
            xor a
            ld d,a                      ; R = 0
            ret                         ; #{thread}
        {self.label("odd")}:
            pop bc
            dec sp                      ; one of the two bytes
            ld l,c
            add a,(hl)
            jr nc,$+3
            inc d
            ret                         ; #{thread}
        """)
        halves = [size // 2 for size in sizes]
        write_pairs(self.job, thread, self.label("level"), max(halves), sum(halves))
        out.emit(f"""
        {self.label("level")}:
            {add_level(wide=wide)}
            ret                         ; #{thread}
        {self.label("row_end")}:
            exx
        """)
        self._store_sum()
        self._next_row(sums)

    def _store_sum(self) -> None:
        """To where HL points, or onto what is there of earlier blocks."""
        halves = ("ixl", "ixh", "iyl", "iyh")[: self.plan.acc_bytes]
        for number, half in enumerate(halves):
            add = ("adc a,(hl)" if number else "add a,(hl)") if self.number else ""
            self.job.code.emit(f"ld a,{half}\n{add}\nld (hl),a\ninc hl")

    def _next_row(self, sums: str) -> None:
        """Left with the other register set's HL where sums go, as the row was entered."""
        end = f"({sums}+{len(self.layer.bias) * self.plan.acc_bytes})"
        self.job.code.emit(f"""
            ld a,l
            cp {end}&0xff
            ld a,h
            exx
            jp nz,{self.label("row")}
            cp {end}>>8
            jp nz,{self.label("row")}
        """)

    def _write_counted_lists(self) -> None:
        """Per list 0 if it is empty, or 1 and how many indices there are modulo 256, and these."""
        out = self.job.consts
        out.emit(f"{self.label('lists')}:")
        for lists in self.block.lists:
            for indices in lists:
                count = [1, len(indices) & 0xFF] if len(indices) else [0]
                inputs = indices.astype(np.int64) + self.first_index
                out.data(".byte", [*count, *inputs])

    def _walk_counted_lists(self, sums: str, start: str) -> None:
        out, wide, label = self.job.code, self.plan.acc_bytes > 2, self.label
        sizes = [len(indices) for lists in self.block.lists for indices in lists]
        self.job.at_most(label("row"), len(self.block.lists))
        self.job.at_most(label("list"), len(sizes))
        self.job.at_most(label("index"), sum(sizes))
        out.emit(f"""
            ld iy,{sums}
        {label("row")}:
            exx
            ld hl,({start})
            {f"ld de,({start}+2)" if wide else ""}
            exx
            ld ix,{len(self.block.lists[0]) << 8}  ; values, and the upper byte of R
            ld c,0                      ; the lower byte of R
        {label("list")}:
            ld a,(de)
            inc de
            or a
            jr z,{label("level")}
            ld a,(de)
            inc de
            ld b,a
        {label("index")}:
            ld a,(de)
            inc de
            ld l,a
            ld a,c
            add a,(hl)
            ld c,a
            jr nc,$+4
            inc ixl
            djnz {label("index")}
        {label("level")}:
            ld a,c
            exx
            ld c,a
            ld a,ixl
            ld b,a
            add hl,bc                   ; sum += R
            {f"jr nc,$+3{chr(10)}inc de" if wide else ""}
            exx
            dec ixh
            jp nz,{label("list")}
            exx
        """)
        for number, half in enumerate("lhed"[: self.plan.acc_bytes]):
            add = ("adc" if number else "add") + f" a,(iy+{number})" if self.number else ""
            out.emit(f"ld a,{half}\n{add}\nld (iy+{number}),a")
        end = f"({sums}+{len(self.layer.bias) * self.plan.acc_bytes})"
        out.emit(f"""
            exx
            ld bc,{self.plan.acc_bytes}
            add iy,bc
            ld a,iyl
            cp {end}&0xff
            jp nz,{label("row")}
            ld a,iyh
            cp {end}>>8
            jp nz,{label("row")}
        """)
