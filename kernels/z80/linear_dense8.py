"""Linear with dense8 weights on Z80: two outputs at a time, one table look-up a product.

Products come from a table of F(n) = n (n + 1) / 2 (see triangles.py): the sum of F(w) is in the
bias, the sum of F(x) is taken once a layer and is where accumulators start.

Bytes of inputs are copied behind each other up to the end of a page, so the pointer's low byte is 0
at their end. They become u = x - center + 128. Where w + x - center stays within a byte (7-bit
operands, by proven ranges), w + u is the table's index. Otherwise weights are stored as w + 128,
the carry of their sum with u tells the sign of n, and an index is folded at 0. Weights lie in
pairs, those of two outputs for one input, so one POP brings both; where indices need no carry the
second is stored as the difference to the first. 16-bit inputs take two walks, one for each byte.

T-states per product, two outputs with one input being two:

    indices of 8 bits   51.5     63.5 where interrupts are served
    folded indices      66.5     78.5    (0.5 less for each index below 0, 0.5 more for the others)
    sums above 16 bits  + 7      and 29 for each carry out of the lower 16 bits (21 of the second
                                 output where interrupts are served)
    loop                + 0.3, or 0.6 with sums above 16 bits; where interrupts are served
                        0.6, or 2.3

Where the target has banks, they hold the weights: as many pairs of rows to a bank as it takes. The
loop over rows then counts them down (see `banked_rows.py`).

Registers: HL table; DE inputs; BC two weights, then a value of F; IX, IY the lower halves of two
sums; BC', DE' their upper halves; HL' where sums go; SP weights. Where interrupts are served: HL'
weights, DE' inputs, DE one of the upper halves, and SP is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import dense8
from kernels.ir import Range
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80 import linear_levels
from kernels.z80.accumulators import finish, jump_unless_at
from kernels.z80.banked_rows import BankedRows
from kernels.z80.stack_pointer import borrowed, may_borrow
from kernels.z80.triangles import HALF, centered_table, folded_table, triangular
from kernels.z80.unpacking import Unpacking

_PAGE = 256
_COPIES = 4  # inputs copied per round


@dataclass(frozen=True, slots=True)
class _Carry:
    """A carry out of a sum's lower half, which is seldom: its fix lies outside the loop."""

    label: str
    raise_upper: str

    @property
    def test(self) -> str:
        return f"jr c,{self.label}_carry\n{self.label}:"

    def write_fix(self, out: Assembly) -> None:
        out.emit(f"{self.label}_carry:\n{self.raise_upper}\njp {self.label}")


_FOLD = "jr c,$+3\ncpl\n"


@dataclass(frozen=True, slots=True)
class _Way:
    """Where weights and inputs come from: the indices of two products, in L.

    plain, folded: of the first and the second product; STEP goes to the next input. raise_upper:
    carry into the upper half of either sum. enter, leave: between HL as the pointer to where sums
    go, the upper halves in BC and DE, and HL as the table's. inputs_aside: whether DE' walks the
    inputs, not DE.
    """

    plain: tuple[str, str]
    folded: tuple[str, str]
    raise_upper: tuple[str, str]
    enter: str
    leave: str
    inputs_aside: bool

    def at_inputs(self, code: str) -> str:
        """Code for the register set whose DE walks the inputs; flags survive."""
        return f"exx\n{code}\nexx" if self.inputs_aside else code


_STREAMED = _Way(
    plain=("pop bc\nld a,(de)\nSTEP\nadd a,c\nld l,a\nadd a,b", "ld l,a"),
    folded=(
        f"pop bc\nld a,(de)\nadd a,c\n{_FOLD}ld l,a\nld a,(de)\nSTEP\nadd a,b\n{_FOLD}",
        "ld l,a",
    ),
    raise_upper=("exx\ninc bc\nexx", "exx\ninc de\nexx"),
    enter="exx",
    leave="exx",
    inputs_aside=False,
)
_BESIDE_A_STACK = _Way(
    plain=(
        "exx\nld a,(de)\nSTEP\nadd a,(hl)\ninc hl\nexx\nld l,a",
        "exx\nadd a,(hl)\ninc hl\nexx\nld l,a",
    ),
    folded=(
        f"exx\nld a,(de)\nadd a,(hl)\ninc hl\nexx\n{_FOLD}ld l,a",
        f"exx\nld a,(de)\nSTEP\nadd a,(hl)\ninc hl\nexx\n{_FOLD}ld l,a",
    ),
    raise_upper=("exx\ninc bc\nexx", "inc de"),
    enter="push hl",
    leave="exx\npush bc\nexx\npop bc\npop hl",
    inputs_aside=True,
)


@emitter("z80", Linear, dense8.NAME, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R; borrows SP. Stack: two bytes."""
    layer = job.node
    assert isinstance(layer, Linear)
    x = job.ranges[layer.input.name]
    plan = plan_requantization(layer, x)
    if linear_levels.serves(job, layer, x):
        linear_levels.Levels(job, layer, plan, x).write()
    else:
        Dense8(job, layer, plan).write()


@dataclass(frozen=True)
class _Walk:
    """One byte of the inputs, and what is done to it.

    center: what is taken off it before products. folded: whether indices have a sign. start: symbol
    of where its sums start. copy: symbol of the first of its copied bytes.
    """

    byte: int
    center: int
    folded: bool
    table: str
    start: str
    copy: str

    @property
    def change(self) -> str:
        """From a byte to u, in A."""
        shift = (HALF - self.center) % 256
        return f"add a,{shift}" if shift else ""


def _bytes_of(x: Range, size: int) -> list[Range]:
    """What each byte of the inputs can be, the highest one signed."""
    if size == 1:
        return [x]
    low, high = x.low >> 8, x.high >> 8
    return [Range(x.low & 0xFF, x.high & 0xFF) if low == high else Range(0, 255), Range(low, high)]


@dataclass(frozen=True)
class Dense8:
    """Writes one layer. unpacking: of rows that are not stored as bytes; indices are folded."""

    job: Job
    layer: Linear
    plan: RequantPlan
    unpacking: Unpacking | None = None

    @property
    def wide(self) -> bool:
        """Whether sums have an upper half."""
        return self.plan.acc_bytes > 2

    @property
    def streams(self) -> bool:
        """Whether SP walks the weights."""
        return may_borrow(self.job.target)

    @property
    def inputs(self) -> int:
        """Inputs of the layer."""
        return self.layer.input.count

    @property
    def unroll(self) -> int:
        """Inputs per round of the loop: whole rounds make a page, and JR reaches every carry."""
        if not self.wide:
            return 16
        return 8 if self.streams else 4

    @property
    def pairs(self) -> int:
        """Pairs of rows, the last of which may lack one."""
        return -(-len(self.layer.bias) // 2)

    @cached_property
    def sums(self) -> str:
        """Of all outputs, and one more where their number is odd."""
        units = len(self.layer.bias)
        return self.job.scratch("sums", (units + units % 2) * self.plan.acc_bytes)

    @cached_property
    def _buffer(self) -> str:
        """Two unpacked rows, filled up to whole bytes of packed weights."""
        per_byte = self.unpacking.per_byte if self.unpacking else 1
        return self.job.scratch("rows", 2 * -(-self.inputs // per_byte) * per_byte)

    @cached_property
    def _banked(self) -> BankedRows | None:
        """Where pairs of rows lie in banks."""
        banks, size = self.job.target.banks, 2 * self.inputs
        if banks is None or self.unpacking or size > banks.size:
            return None
        return BankedRows(self.job, banks, size, self.pairs, self.streams)

    @cached_property
    def _slots(self) -> str:
        """Pointers that wait: into packed rows, and to where sums go."""
        return self.job.scratch("pointers", 4)

    def _slot(self, name: str) -> str:
        return f"{self._slots}+{('packed', 'sum').index(name) * 2}"

    def write(self) -> None:
        """Write the layer, with every register but I and R, and two bytes of stack, or four."""
        layer, job = self.layer, self.job
        walks = [
            self._walk(byte, values)
            for byte, values in enumerate(
                _bytes_of(job.ranges[layer.input.name], layer.input.dtype.size)
            )
        ]
        if self.unpacking:
            self._write_packed(self.unpacking)
        for walk in walks:
            if not self.unpacking:
                self._write_stream(walk)
            self._copy_inputs(walk)
            self._walk_rows(walk)
        finish(job, layer, self.plan, self.sums, self._bias(walks))

    def _walk(self, byte: int, x: Range) -> _Walk:
        job, w = self.job, self.layer.weights
        # Inputs alone are looked up, too, as if with a weight of zero.
        n = Range(min(int(w.min()), 0) + x.low, max(int(w.max()), 0) + x.high)
        folded = n.high - n.low > 255 or self.unpacking is not None
        if folded:
            center = 0 if x.low < 0 else HALF
        else:
            center = 0 if n in Range(-HALF, HALF - 1) else n.low + HALF
        table = folded_table(job) if folded else centered_table(job)
        pages = -(-self.inputs // _PAGE)
        copies = job.scratch(f"x{byte}", pages * _PAGE, align=_PAGE)
        first = f"{copies}+{pages * _PAGE - self.inputs}"
        return _Walk(byte, center, folded, table, job.scratch(f"start{byte}", 4), first)

    def _bias(self, walks: list[_Walk]) -> NDArray[np.int64]:
        """What is added to finished sums, int64 (out,): F(w) comes off, centers come back."""
        weights = self.layer.weights.astype(np.int64)
        squares, sums = triangular(weights).sum(axis=1), weights.sum(axis=1)
        fixed = sum((squares - walk.center * sums) << (8 * walk.byte) for walk in walks)
        bias: NDArray[np.int64] = self.layer.folded_bias - (fixed << self.layer.input_shift)
        return bias

    def _write_stream(self, walk: _Walk) -> None:
        """Pairs of rows, an input's two weights side by side; a row of zeros where one is odd."""
        weights = np.pad(self.layer.weights, ((0, len(self.layer.weights) % 2), (0, 0)))
        stream, out = f"stream{walk.byte}", self.job.consts
        if not self._banked:
            out.emit(f"{self.job.label(stream)}:")
        for row in range(0, len(weights), 2):
            if self._banked:
                out = self._banked.place(stream, row // 2)
            pairs = dense8.encode(weights[row : row + 2])
            if not walk.folded:
                pairs[1::2] -= pairs[::2]
                pairs[::2] -= HALF
            out.data(".byte", pairs)

    def _write_packed(self, unpacking: Unpacking) -> None:
        """Rows as they are stored; the last one twice where one is odd."""
        weights = self.layer.weights
        self.job.consts.emit(f"{self.job.label('packed')}:")
        for row in (*weights, *weights[len(weights) - len(weights) % 2 :]):
            self.job.consts.data(".byte", unpacking.store(row))

    def _unpack_pair(self, walk: _Walk, unpacking: Unpacking) -> None:
        """Two rows into the buffer that the weights are streamed from; HL stays."""
        row, size = self.job.label(f"unpack{walk.byte}"), -(-self.inputs // unpacking.per_byte)
        for half in "ab":
            self.job.at_most(f"{row}_{half}", self.pairs * size)
        rewind = f"ld sp,{self._buffer}" if self.streams else f"exx\nld hl,{self._buffer}\nexx"
        self.job.code.emit(f"""
            ld ({self._slot("sum")}),hl
            ld de,({self._slot("packed")})
            ld hl,{self._buffer}
            {unpacking.code(f"{row}_a", size)}
            ld hl,{self._buffer}+1
            {unpacking.code(f"{row}_b", size)}
            ld ({self._slot("packed")}),de
            ld hl,({self._slot("sum")})
            {rewind}
        """)

    def _copy_inputs(self, walk: _Walk) -> None:
        """Copy the bytes as u, four a round, and add F(x) up: in IX, and DE' above it."""
        out, loop = self.job.code, self.job.label(f"copy{walk.byte}")
        skipped = -self.inputs % _COPIES
        self.job.at_most(loop, self.inputs // _COPIES)
        out.emit(f"""
            ld ix,0
            ld hl,{centered_table(self.job)}+{skipped % 2 * _PAGE}
            ld de,0
            exx
            ld hl,{tensor_symbol(self.layer.input)}+{walk.byte}
            ld de,{walk.copy}
            {f"jp {loop}_entry" if skipped else ""}
        {loop}:
        """)
        for number in range(_COPIES):
            if number == skipped != 0:
                out.emit(f"{loop}_entry:")
            self._copy_input(walk, upwards=number % 2 == 0)
        out.emit(f"jp nz,{loop}")
        if self.inputs > _PAGE:
            out.emit(f"inc d\nld a,d\ncp ({walk.copy}+{self.inputs})>>8\njp nz,{loop}")
        out.emit(f"""
            push ix
            pop bc
            ld hl,0
            or a
            sbc hl,bc
            ld ({walk.start}),hl
        """)
        if self.wide:
            out.emit(f"exx\nld hl,0\nsbc hl,de\nld ({walk.start}+2),hl")

    def _copy_input(self, walk: _Walk, *, upwards: bool) -> None:
        """One input; the table's pages are read in turns, low byte first or high byte first."""
        first, step, second = ("c", "inc h", "b") if upwards else ("b", "dec h", "c")
        self.job.code.emit(f"""
            ld a,(hl)
            inc hl
            {"inc hl" if self.layer.input.dtype.size == 2 else ""}
            {walk.change}
            ld (de),a                   ; u
            exx
            ld l,a
            ld {first},(hl)
            {step}
            ld {second},(hl)
            add ix,bc                   ; + F(x)
            {"jr nc,$+3" if self.wide else ""}
            {"inc de" if self.wide else ""}
            exx
            inc e
        """)

    def _walk_rows(self, walk: _Walk) -> None:
        """Two rows after the other, from the stream of weights to where the sums go."""
        out, job = self.job.code, self.job
        stream = self._buffer if self.unpacking else job.label(f"stream{walk.byte}")
        sums = f"ld hl,{self.sums}+{walk.byte}"
        if self.unpacking:
            out.emit(f"ld hl,{job.label('packed')}\nld ({self._slot('packed')}),hl")
        if self.streams:
            with borrowed(job, f"sp{walk.byte}"):
                out.emit(sums if self._banked else f"ld sp,{stream}\n{sums}")
                self._rows(walk)
        else:
            out.emit(sums if self._banked else f"ld hl,{stream}\nexx\n{sums}")
            self._rows(walk)

    def _rows(self, walk: _Walk) -> None:
        """Entered, and left, with HL where sums go."""
        job, out, row = self.job, self.job.code, self.job.label(f"row{walk.byte}")
        if self._banked:
            self._banked.enter(f"stream{walk.byte}")
        way = _STREAMED if self.streams else _BESIDE_A_STACK
        job.at_most(row, self.pairs)
        out.emit(f"{row}:")
        if self.unpacking:
            self._unpack_pair(walk, self.unpacking)
        start = f"({walk.start}+2)"
        out.emit(f"""
            {f"ld bc,{start}" if self.wide and self.streams else ""}
            {f"ld de,{start}" if self.wide else ""}
            {way.enter}
            {f"exx{chr(10)}ld bc,{start}{chr(10)}exx" if self.wide and not self.streams else ""}
            {way.at_inputs(f"ld de,{walk.copy}")}
            ld h,{walk.table}>>8
            ld ix,({walk.start})
            ld iy,({walk.start})
        """)
        self._products(walk, way)
        out.emit(way.leave)
        if walk.byte:
            self._add_pair()
        else:
            self._store_pair()
        units = len(self.layer.bias)
        size = (units + units % 2) * self.plan.acc_bytes
        end = f"({self.sums}+{size + walk.byte})"
        if self._banked:
            self._banked.leave(f"stream{walk.byte}", row, end)
        else:
            jump_unless_at(out, end, row)

    def _products(self, walk: _Walk, way: _Way) -> None:
        """Add F(w + x) for all inputs to two sums."""
        loops = self.inputs > self.unroll
        count = self.unroll if loops else self.inputs
        label = self.job.label(f"mac{walk.byte}")
        self.job.at_most(label, self.pairs * (self.inputs // count))  # beside the entry
        carries = [_Carry(f"{label}_{n}", way.raise_upper[n % 2]) for n in range(2 * count)]
        out, skipped = self.job.code, -self.inputs % self.unroll if loops else 0
        if self.wide or skipped:
            out.emit(f"jp {label}{'_entry' if skipped else ''}")
        if self.wide:
            for carry in carries[:count]:
                carry.write_fix(out)
        out.emit(f"{label}:")
        for number in range(count):
            if number == skipped != 0:
                out.emit(f"{label}_entry:")
            self._step(walk, way, carries[2 * number :], last=number == count - 1)
        if loops:
            out.emit(f"jp nz,{label}")
            if self.inputs > _PAGE:
                end = f"({walk.copy}+{self.inputs})"
                out.emit(f"{way.at_inputs(f'inc d{chr(10)}ld a,d')}\ncp {end}>>8\njp nz,{label}")
        if self.wide:
            out.emit(f"jp {label}_done")
            for carry in carries[count:]:
                carry.write_fix(out)
            out.emit(f"{label}_done:")

    def _step(self, walk: _Walk, way: _Way, carries: Sequence[_Carry], *, last: bool) -> None:
        """One input with the weights of two outputs; the last one leaves Z where a page ends."""
        first, second = way.folded if walk.folded else way.plain
        step = "" if last else "inc e"
        self.job.code.emit(f"""
            {first.replace("STEP", step)}
            ld c,(hl)                   ; F(w + x)
            inc h
            ld b,(hl)
            add ix,bc
            {carries[0].test if self.wide else ""}
            {second.replace("STEP", step)}
            ld b,(hl)
            dec h
            ld c,(hl)
            add iy,bc
            {carries[1].test if self.wide else ""}
            {way.at_inputs("inc e") if last else ""}
        """)

    def _store_pair(self) -> None:
        upper = {2: ("", ""), 3: ("c", "e"), 4: ("cb", "ed")}[self.plan.acc_bytes]
        for index, registers in zip(("ix", "iy"), upper, strict=True):
            for half in (f"{index}l", f"{index}h"):
                self.job.code.emit(f"ld a,{half}\nld (hl),a\ninc hl")
            for register in registers:
                self.job.code.emit(f"ld (hl),{register}\ninc hl")

    def _add_pair(self) -> None:
        """The sums of upper bytes, times 256, onto those of lower bytes; HL stays one ahead."""
        for index, upper in (("ix", "c"), ("iy", "e")):
            sources = [f"{index}l", f"{index}h", upper][: self.plan.acc_bytes - 1]
            for number, source in enumerate(sources):
                operation = "adc" if number else "add"
                self.job.code.emit(f"ld a,{source}\n{operation} a,(hl)\nld (hl),a\ninc hl")
            self.job.code.emit("inc hl")
