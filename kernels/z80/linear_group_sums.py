"""Linear with group sums on Z80: one look-up and one addition for five or six products.

Inputs count as u = x - lowest x. A group's table holds the sums of all its subsets, two bytes each;
weights are the index of the subset that is added, doubled, so it is the pointer's low byte. A row
adds up one entry of each table; sum(w u) is twice that, less the sum of all u. At most 256 inputs
are taken at a time, whose sum 16 bits hold.

Tables are pushed, from the full subset down to the empty one: each differs from the one before by
one of as many constants as the group has inputs. The group's size is the one that takes less.

T-states: a row takes 42 for each group, and 4 for each page of tables behind the first; where
interrupts are served 58. A table takes 22 for each entry, and 40 more for one in four.

Registers: HL table; BC two indices; DE an entry; IX the row's sum, IY where sums go; SP indices, or
HL' where interrupts are served.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.blocks import blocks
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import group_sums
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.accumulators import finish
from kernels.z80.stack_pointer import borrowed, may_borrow

_PAGE = 256
_SIZES = (5, 6)  # of groups, whose indices take a byte
_LOOKUP = 42


@emitter("z80", Linear, group_sums.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R; borrows SP. Stack: two bytes, or four."""
    layer = job.node
    assert isinstance(layer, Linear)
    _GroupSums(job, layer, plan_requantization(layer, job.ranges[layer.input.name])).write()


def _cost(inputs: int, outputs: int, size: int) -> int:
    """About what groups of that size take in T-states."""
    entries = 1 << size
    table = 22 * entries + 40 * (entries // 4 - 1) + 90 * size + 150
    return -(-inputs // size) * (table + _LOOKUP * outputs)


@dataclass(frozen=True)
class _GroupSums:
    job: Job
    layer: Linear
    plan: RequantPlan

    def write(self) -> None:
        job, layer = self.job, self.layer
        inputs, units = layer.input.count, len(layer.bias)
        lowest = job.ranges[layer.input.name].low
        size = min(_SIZES, key=lambda size: _cost(inputs, units, size))
        counts = blocks(inputs, _PAGE)
        tables = job.scratch("tables", -(-counts[0] // size) * 2 << size, _PAGE)
        sums, start = job.scratch("sums", units * self.plan.acc_bytes), job.scratch("start", 4)
        deltas, first = job.scratch("deltas", 2 * size), 0
        for number, count in enumerate(counts):
            weights = layer.weights[:, first : first + count]
            block = _Block(job, self.plan, weights, size, number, tables)
            block.fill_tables(f"{tensor_symbol(layer.input)}+{first}", lowest, deltas, start)
            block.walk_rows(sums, start)
            first += count
        offset = layer.weights.astype(np.int64).sum(axis=1) * lowest
        finish(job, layer, self.plan, sums, layer.folded_bias + (offset << layer.input_shift))


@dataclass(frozen=True)
class _Block:
    """Writes one block of inputs. size: inputs of a group."""

    job: Job
    plan: RequantPlan
    weights: NDArray[np.int8]
    size: int
    number: int
    tables: str

    @property
    def groups(self) -> int:
        """Groups, the last of which may not be full."""
        return -(-int(self.weights.shape[1]) // self.size)

    @property
    def table(self) -> int:
        """Bytes of a table."""
        return 2 << self.size

    @property
    def streams(self) -> bool:
        """Whether SP may walk."""
        return may_borrow(self.job.target)

    def label(self, name: str) -> str:
        """A symbol of this block's own."""
        return self.job.label(f"b{self.number}_{name}")

    def fill_tables(self, source: str, lowest: int, deltas: str, start: str) -> None:
        """All tables, from the last group to the first, and minus the sum of all u."""
        out, inputs = self.job.code, self.weights.shape[1]
        rest = inputs - (self.groups - 1) * self.size
        top = f"{self.tables}+{(self.groups - 1) * self.table + (2 << rest)}"
        out.emit(f"ld ix,{source}+{inputs - rest}\nld iy,0")
        if self.streams:
            with borrowed(self.job, f"sp{self.number}_tables"):
                out.emit(f"ld sp,{top}")
                self._fill(source, rest, lowest, deltas)
        else:
            out.emit(f"exx\nld hl,{top}-1\nexx")
            self._fill(source, rest, lowest, deltas)
        out.emit(f"""
            push iy
            pop bc
            ld hl,0
            or a
            sbc hl,bc
            ld ({start}),hl
            sbc hl,hl
            ld ({start}+2),hl
        """)

    def _fill(self, source: str, rest: int, lowest: int, deltas: str) -> None:
        self._fill_table(rest, lowest, deltas)
        if self.groups == 1:
            return
        loop, out = self.label("table"), self.job.code
        self.job.at_most(loop, self.groups - 1)
        out.emit(f"{loop}:\nld bc,{-self.size}\nadd ix,bc")
        self._fill_table(self.size, lowest, deltas)
        out.emit(f"""
            ld a,ixl
            cp ({source})&0xff
            jp nz,{loop}
            ld a,ixh
            cp ({source})>>8
            jp nz,{loop}
        """)

    def _fill_table(self, size: int, lowest: int, deltas: str) -> None:
        """The table of the inputs at IX; each entry differs from the last by one delta.

        Bit k clears and all below it set: u of the lower bits comes in and u of bit k goes.
        """
        out = self.job.code
        out.emit("ld hl,0\nld d,l                     ; the sum of u so far, and delta after delta")
        for bit in range(size):
            out.emit(f"""
                ld a,(ix+{bit})
                {f"sub {lowest & 0xFF}" if lowest else ""}
                ld e,a
                or a
                sbc hl,de
                ld ({deltas}+{2 * bit}),hl
                add hl,de
                add hl,de
            """)
        out.emit(f"""
            ex de,hl
            add iy,de
            ex de,hl
            ld de,({deltas})
            {f"ld bc,({deltas}+2)" if size > 1 else ""}
        """)
        self._push()
        for index in range((1 << size) - 1, 0, -1):
            bit = (index & -index).bit_length() - 1
            if bit > 1:
                out.emit(f"ld bc,({deltas}+{2 * bit})\nadd hl,bc\nld bc,({deltas}+2)")
            else:
                out.emit("add hl,bc" if bit else "add hl,de")
            self._push()

    def _push(self) -> None:
        if self.streams:
            self.job.code.emit("push hl")
            return
        self.job.code.emit("""
            ld a,h
            exx
            ld (hl),a
            dec hl
            exx
            ld a,l
            exx
            ld (hl),a
            dec hl
            exx
        """)

    def walk_rows(self, sums: str, start: str) -> None:
        """One entry of each table for every row."""
        self._write_indices()
        out, indices = self.job.code, self.label("indices")
        if self.streams:
            with borrowed(self.job, f"sp{self.number}_rows"):
                out.emit(f"ld sp,{indices}")
                self._walk(sums, start)
        else:
            out.emit(f"exx\nld hl,{indices}\nexx")
            self._walk(sums, start)

    def _write_indices(self) -> None:
        """Offsets into pages of tables; one more in a row where the groups are odd."""
        rows = group_sums.encode(self.weights, self.size).reshape(len(self.weights), -1)
        within = np.arange(self.groups) * self.table % _PAGE
        offsets = (2 * rows + within).astype(np.uint8)
        data = np.pad(offsets, ((0, 0), (0, self.groups % 2 if self.streams else 0)))
        self.job.consts.emit(f"{self.label('indices')}:")
        self.job.consts.data(".byte", data.ravel())

    def _walk(self, sums: str, start: str) -> None:
        out, row = self.job.code, self.label("row")
        self.job.at_most(row, len(self.weights))
        out.emit(f"""
            ld iy,{sums}
        {row}:
            ld h,{self.tables}>>8
            ld ix,0
        """)
        for group in range(self.groups):
            if group and group * self.table % _PAGE == 0:
                out.emit("inc h")
            if self.streams:
                out.emit("ld l,b" if group % 2 else "pop bc\nld l,c")
            else:
                out.emit("exx\nld a,(hl)\ninc hl\nexx\nld l,a")
            out.emit("ld e,(hl)                   ; a subset's sum\ninc l\nld d,(hl)\nadd ix,de")
        self._store_sum(start)
        end = f"({sums}+{len(self.weights) * self.plan.acc_bytes})"
        out.emit(f"""
            ld bc,{self.plan.acc_bytes}
            add iy,bc
            ld a,iyl
            cp {end}&0xff
            jp nz,{row}
            ld a,iyh
            cp {end}>>8
            jp nz,{row}
        """)

    def _store_sum(self, start: str) -> None:
        """Twice the row's sum, less the sum of all u, onto what earlier blocks left."""
        out, size = self.job.code, self.plan.acc_bytes
        out.emit("add ix,ix")
        if size > 2:
            out.emit("ld a,0\nrla")
        out.emit(f"ld bc,({start})\nadd ix,bc")
        if size > 2:
            out.emit(f"ld bc,({start}+2)\nadc a,c\nld c,a\nld a,b\nadc a,0\nld b,a")
        for number, half in enumerate(("ixl", "ixh", "c", "b")[:size]):
            add = f"{'adc' if number else 'add'} a,(iy+{number})" if self.number else ""
            out.emit(f"ld a,{half}\n{add}\nld (iy+{number}),a")
