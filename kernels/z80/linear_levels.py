"""Linear with dense8 weights on Z80 for inputs of few levels: additions, and no product at all.

With inputs of 0..L above their lowest, w x = sum over the levels v of w where x >= v. So inputs are
sorted by level once a layer, and a row is one running sum from the highest level down: R gains the
weights of the level's inputs, then the sum of the row gains R. Inputs at the lowest level are
never seen again. Weights count as w + 128, so all are positive; 128 * sum(x) is where sums start.

The list of a row is threaded code: SP walks it, RET jumps into the unrolled additions where as many
are left as the level has inputs, POP brings two indices. Levels of an odd number get one more, of
a weight that counts 0. Up to four rows share a page, and each of these has a list of its own.

T-states per row: 28 for each active input (27 where the low byte of R carries), 28 more for each
level of an odd number, and 29 for each level; 41 with sums above 16 bits, 46 where their lower
half carries.

Registers: A, D lower and upper byte of R; HL weight; BC two indices; IX the row's sum, IY above it;
HL' where sums go, BC' to the next; SP the list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.emit import Job, tensor_symbol
from kernels.encodings import dense8
from kernels.ir import Range
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan
from kernels.z80.accumulators import finish
from kernels.z80.stack_pointer import borrowed, may_borrow
from kernels.z80.threaded import ADD_PAIR, add_level, write_pairs

_PAGE = 256
_MOST_INPUTS = 128
_MOST_LANES = 4


def serves(job: Job, layer: Linear, x: Range) -> bool:
    """Whether this loop takes a layer, and is the faster one however many inputs are active.

    Its lists are not held in banks, so where there are some it leaves weights to the other loop.
    """
    inputs, levels = layer.input.count, x.high - x.low
    return (
        may_borrow(job.target)
        and job.target.banks is None
        and layer.input.dtype.size == 1
        and inputs <= _MOST_INPUTS
        and 0 < 2 * levels <= inputs
        and _list_size(inputs, levels) <= _PAGE
    )


def _list_size(inputs: int, levels: int) -> int:
    """Bytes at most: an address a level and one for the end, indices, one more if odd."""
    return 2 * (levels + 1) + inputs + min(inputs, levels)


@dataclass(frozen=True)
class Levels:
    """Writes one layer whose inputs lie in `x`."""

    job: Job
    layer: Linear
    plan: RequantPlan
    x: Range

    @property
    def inputs(self) -> int:
        """Inputs of the layer."""
        return self.layer.input.count

    @property
    def levels(self) -> int:
        """Above the lowest, which adds nothing."""
        return self.x.high - self.x.low

    @property
    def lanes(self) -> int:
        """Rows in a page of weights, each followed by the weight of odd levels."""
        return min(_PAGE // (self.inputs + 1), _MOST_LANES, len(self.layer.bias))

    def write(self) -> None:
        """Write the layer. Uses every register but I and R; borrows SP. Stack: two bytes."""
        job, plan = self.job, self.plan
        counts = job.scratch("counts", self.levels + 1, align=_PAGE)
        size = _list_size(self.inputs, self.levels)
        lists = job.scratch("lists", _PAGE * (self.lanes - 1) + size, align=_PAGE)
        sums = job.scratch("sums", len(self.layer.bias) * plan.acc_bytes)
        start = job.scratch("start", 4)
        pages = self._weights()
        self._count(counts)
        self._lay_levels(counts, lists)
        self._set_start(start)
        self._place(counts, lists)
        with borrowed(job):
            for lane in range(self.lanes):
                self._walk_lane(lane, pages, f"{lists}+{_PAGE * lane}", sums, start)
            job.code.emit(f"jp {job.label('walked')}")
            self._write_additions()
            job.code.emit(f"{job.label('walked')}:")
        finish(job, self.layer, plan, sums, self._bias())

    def _bias(self) -> NDArray[np.int64]:
        """The lowest level times all weights is not in the sums."""
        sums = self.layer.weights.astype(np.int64).sum(axis=1) * self.x.low
        bias: NDArray[np.int64] = self.layer.folded_bias + (sums << self.layer.input_shift)
        return bias

    def _weights(self) -> str:
        """Pages of rows, each with the weight of odd levels behind it; their symbol."""
        width = self.inputs + 1
        pages = np.zeros((-(-len(self.layer.bias) // self.lanes), _PAGE), np.uint8)
        for unit, weights in enumerate(self.layer.weights):
            page, lane = divmod(unit, self.lanes)
            pages[page, lane * width : (lane + 1) * width - 1] = dense8.encode(weights[np.newaxis])
        data = pages.ravel()[: _PAGE * (len(pages) - 1) + width * self.lanes]
        self.job.table("pages", _PAGE).data(".byte", data)
        return self.job.label("pages")

    @property
    def _next_level(self) -> str:
        """The next input's level in A, and whether it is 0."""
        low = self.x.low & 0xFF
        return f"ld a,(de)\ninc de\n{f'sub {low}' if low else 'or a'}"

    def _count(self, counts: str) -> None:
        """How many inputs each level has."""
        loop = self.job.label("count")
        self.job.at_most(f"{loop}_clear", self.levels + 1)
        self.job.at_most(loop, self.inputs)
        self.job.code.emit(f"""
            ld hl,{counts}
            xor a
            ld b,{self.levels + 1}
        {loop}_clear:
            ld (hl),a
            inc l
            djnz {loop}_clear
            ld de,{tensor_symbol(self.layer.input)}
            ld b,{self.inputs}
        {loop}:
            {self._next_level}
            ld l,a
            inc (hl)
            djnz {loop}
        """)

    def _lay_levels(self, counts: str, lists: str) -> None:
        """From the highest level down: addresses into all lists, and where indices will go.

        B level, C inputs at it or above, DE list, IX the sum of all levels, IYL the level's inputs.
        """
        job, loop = self.job, self.job.label("lay")
        job.at_most(loop, self.levels)
        step, entries = job.assembly().emit(ADD_PAIR).size, job.table("entries", _PAGE)
        for pairs in range(-(-self.inputs // 2) + 1):
            entries.emit(f".word {job.label('level')}-{step * pairs}")
        job.code.emit(f"""
            exx
            ld d,0
            exx
            ld de,{lists}
            ld bc,{self.levels << 8}
            ld ix,0
        {loop}:
            ld l,b
            ld h,{counts}>>8
            ld a,(hl)
            ld iyl,a
            inc e
            inc e
            ld (hl),e                   ; indices go behind the address
            dec e
            dec e
            inc a
            and 0xfe                    ; two bytes for each pair
            ld l,a
            ld h,{job.label("entries")}>>8
            ld a,(hl)
            inc hl
            ld h,(hl)
            ld l,a
            {self._in_all_lists([_WORD] * self.lanes)}
            inc e
            inc e
            ld a,e
            add a,iyl
            ld e,a
            ld a,iyl
            rra
            jr nc,{loop}_even
            ld a,{self.inputs}
            {self._in_all_lists(["ld (de),a", *[self._next_lane] * (self.lanes - 1)])}
            inc e
        {loop}_even:
            ld a,iyl
            add a,c
            ld c,a
            exx
            ld e,a
            add ix,de
            exx
            dec b
            jp nz,{loop}
        """)
        ends = [f"ld hl,{job.label(f'row{lane}_end')}\n{_WORD}" for lane in range(self.lanes)]
        job.code.emit(self._in_all_lists(ends))

    @property
    def _next_lane(self) -> str:
        """An index of the next row in the page."""
        return f"add a,{self.inputs + 1}\nld (de),a"

    def _in_all_lists(self, codes: list[str]) -> str:
        """Each code with D at its lane's list; back to the first one's."""
        back = f"ld d,{self.job.label('lists')}>>8" if len(codes) > 1 else ""
        return "\ninc d\n".join(codes) + f"\n{back}"

    def _set_start(self, start: str) -> None:
        """Minus 128 times the sum of levels."""
        self.job.code.emit(f"""
            push ix
            pop hl
            xor a
            srl h
            rr l
            rra                         ; 128 times the sum in H, L, A
            ld d,l
            ld e,a
            ld c,h
            ld b,0
            ld hl,0
            or a
            sbc hl,de
            ld ({start}),hl
            ld hl,0
            sbc hl,bc
            ld ({start}+2),hl
        """)

    def _place(self, counts: str, lists: str) -> None:
        """Indices of active inputs into all lists."""
        loop = self.job.label("place")
        self.job.at_most(loop, self.inputs)
        lanes = "".join(
            f"inc h\nadd a,{self.inputs + 1}\nld (hl),a\n" for _ in range(1, self.lanes)
        )
        self.job.code.emit(f"""
            ld de,{tensor_symbol(self.layer.input)}
            ld bc,{self.inputs << 8}
        {loop}:
            {self._next_level}
            jr z,{loop}_inactive
            ld l,a
            ld h,{counts}>>8
            ld a,(hl)
            inc (hl)
            ld l,a
            ld h,{lists}>>8
            ld a,c
            ld (hl),a
            {lanes}
        {loop}_inactive:
            inc c
            djnz {loop}
        """)

    def _walk_lane(self, lane: int, pages: str, entries: str, sums: str, start: str) -> None:
        """The rows that have the same place in their pages."""
        row, out, size = self.job.label(f"row{lane}"), self.job.code, self.plan.acc_bytes
        rows = -(-(len(self.layer.bias) - lane) // self.lanes)
        self.job.at_most(row, rows)
        self.job.jumps(self.job.label("thread"), f"{row}_end")
        out.emit(f"""
            ld hl,{sums}+{lane * size}
            ld bc,{(self.lanes - 1) * size}
            exx
            ld h,{pages}>>8
        {row}:
            ld sp,{entries}
            ld ix,({start})
            {f"ld iy,({start}+2)" if size > 2 else ""}
            xor a
            ld d,a                      ; R = 0
            ret                         ; #{self.job.label("thread")}
        {row}_end:
            exx
        """)
        for half in ("ixl", "ixh", "iyl", "iyh")[:size]:
            out.emit(f"ld a,{half}\nld (hl),a\ninc hl")
        out.emit(f"""
            add hl,bc
            exx
            inc h
            ld a,h
            cp ({pages}>>8)+{rows}
            jp nz,{row}
        """)

    def _write_additions(self) -> None:
        """What addresses in lists lead into: additions to R, and at their end the level's."""
        job, rows = self.job, len(self.layer.bias)
        level, thread = job.label("level"), job.label("thread")
        # Of each level one pair may have but one input, and the sums of pairs are the inputs.
        most = min(self.inputs, (self.inputs + self.levels) // 2)
        write_pairs(job, thread, level, -(-self.inputs // 2), rows * most)
        job.at_most(level, rows * self.levels)
        job.code.emit(f"""
        {level}:
            {add_level(wide=self.plan.acc_bytes > 2)}
            ret                         ; #{thread}
        """)


_WORD = "ld a,l\nld (de),a\ninc e\nld a,h\nld (de),a\ndec e"
