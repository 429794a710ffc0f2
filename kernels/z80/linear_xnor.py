"""Linear with xnor weights on Z80: four outputs at a time, two counts of one byte in IX and in IY.

sum(w b) = positive weights - popcount(w ^ b), where a table tells how many bits of a byte are 0,
not 1: a count only grows. For a byte of inputs A passes through its differences to the weights of
four outputs: those of the first are stored as they are, those of the others as the difference to
the output before. Two counts make a word, and one addition adds to both:

    pop bc / ld a,(de) / inc e          21    weights of two outputs; the inputs
    xor c / ld l,a / xor b / ld c,(hl) / ld l,a / ld b,(hl)      30
    add ix,bc                           15    both counts; no more than 31 bytes go in
    pop bc / xor c / ... / add iy,bc    55    the other two outputs

The last byte of inputs is counted in BC and DE, and each count, which may have 9 bits by now, ends
as a sum, or as a bit; see `xnor_ends.py`.

T-states per four outputs: 121 for each byte of inputs but the last, 169 where interrupts are
served; and 10 per 8 of these.

Registers: A differences; DE inputs; HL table; BC weights, then counts; IX, IY counts; BC', DE', HL'
the ends'; SP weights, or HL' where interrupts are served.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.blocks import blocks
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import xnor
from kernels.ops.linear import Linear
from kernels.requant_plan import plan_requantization
from kernels.z80.row_sums import RowSums
from kernels.z80.stack_pointer import borrowed, may_borrow
from kernels.z80.xnor_ends import ROWS, Ends, SignEnds, SumEnds, sign_limits

_PAGE = 256
_MOST_BYTES = 32  # of inputs: 31 are counted in a byte, and one more in 9 bits
_UNROLL = 8
_TABLE = "zero_bits"
_COUNTS = ("ixl", "ixh", "iyl", "iyh")
_LAST_COUNTS = ("c", "b", "e", "d")


@emitter("z80", Linear, xnor.NAME, reads_packed=True, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R; borrows SP. Stack: two bytes, or four."""
    layer = job.node
    assert isinstance(layer, Linear)
    job.share(_TABLE, _write_table, _PAGE)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    bias, streams = _bias(layer), may_borrow(job.target)
    page, size = job.scratch("page", _PAGE, _PAGE), layer.input.size
    limits = sign_limits(layer, plan, bias) if size <= _MOST_BYTES else None
    if limits is not None:
        signs = SignEnds(job, layer, limits, size == _MOST_BYTES, streams)
        _Block(job, layer, signs, page, 0, range(size)).write()
        return
    sums, first = RowSums(job, layer, plan, ROWS), 0
    for number, count in enumerate(blocks(size, _MOST_BYTES)):
        ends = SumEnds(sums, bias, number == 0, streams)
        _Block(job, layer, ends, page, number, range(first, first + count)).write()
        first += count
    sums.finish(bias)


def _write_table(out: Assembly) -> None:
    out.data(".byte", [8 - byte.bit_count() for byte in range(256)])


def _bias(layer: Linear) -> NDArray[np.int64]:
    """What is added to counts of equal bits, of which those that fill up the last byte are some."""
    positive = (layer.weights > 0).sum(axis=1).astype(np.int64) - 8 * layer.input.size
    bias: NDArray[np.int64] = layer.folded_bias + (positive << layer.input_shift)
    return bias


@dataclass(frozen=True)
class _Block:
    """Writes one block of inputs. bytes: its bytes of inputs. page: where they are copied to."""

    job: Job
    layer: Linear
    ends: Ends
    page: str
    number: int
    bytes: range

    def label(self, name: str) -> str:
        """A symbol of this block's own."""
        return self.job.label(f"b{self.number}_{name}")

    @property
    def streams(self) -> bool:
        """Whether SP walks the weights."""
        return may_borrow(self.job.target)

    @property
    def first(self) -> str:
        """Address of the first input; behind the page's end the last one follows at its begin."""
        return f"{self.page}+{(_PAGE + 1 - len(self.bytes)) % _PAGE}"

    @property
    def groups(self) -> int:
        """Of four rows, the last of which may lack some."""
        return -(-len(self.layer.weights) // ROWS)

    def write(self) -> None:
        """Counts of all outputs, to their ends."""
        self._write_weights()
        self._copy_inputs()
        out, weights = self.job.code, self.label("weights")
        if self.streams:
            with borrowed(self.job, f"sp{self.number}"):
                out.emit(f"ld sp,{weights}\nexx\n{self.ends.begin()}\nexx")
                self._walk_rows()
        else:
            out.emit(f"exx\nld hl,{weights}\n{self.ends.begin()}\nexx")
            self._walk_rows()

    def _write_weights(self) -> None:
        """Four rows, a byte of each side by side, then what their ends need."""
        rows = np.zeros((self.groups * ROWS, self.layer.input.size), np.uint8)
        units = len(self.layer.weights)
        rows[:units] = xnor.encode(self.layer.weights).reshape(units, -1)
        out = self.job.consts
        out.emit(f"{self.label('weights')}:")
        for group in range(self.groups):
            four = rows[group * ROWS : (group + 1) * ROWS, self.bytes.start : self.bytes.stop]
            differences = four.copy()
            differences[1:] ^= four[:-1]
            out.data(".byte", differences.T.ravel())
            out.data(".byte", self.ends.constants(group))

    def _copy_inputs(self) -> None:
        """All bytes but the last to the end of the page, the last to its begin."""
        source = f"{tensor_symbol(self.layer.input)}+{self.bytes.start}"
        count, tag = len(self.bytes) - 1, self.label("copy")
        if count:
            self.job.at_most(tag, count)
            self.job.code.emit(f"""
                ld hl,{source}
                ld de,{self.first}
                ld bc,{count}
                ldir ; #{tag}
            """)
        self.job.code.emit(f"ld a,({source}+{count})\nld ({self.page}),a")

    def _walk_rows(self) -> None:
        out, rows = self.job.code, self.label("rows")
        self.job.at_most(rows, self.groups)
        out.emit(f"""
            ld h,{_TABLE}>>8
        {rows}:
            ld de,{self.first}
            ld ix,0
            ld iy,0
        """)
        self._count()
        self._count_last()
        for number, counts in enumerate(zip(_COUNTS, _LAST_COUNTS, strict=True)):
            out.emit("exx" if number else "")
            out.emit("ld a,{}\nadd a,{}\nexx".format(*counts))
            out.emit(self.ends.row(number))
        out.emit(self.ends.repeat(rows))

    def _count(self) -> None:
        """All bytes of inputs but the last."""
        count, loop = len(self.bytes) - 1, self.label("loop")
        steps = min(count, _UNROLL)
        skipped = -count % steps if steps else 0
        if skipped:
            self.job.code.emit(f"jp {loop}_entry")
        if count > steps:
            self.job.at_most(loop, count // steps * self.groups)
            self.job.code.emit(f"{loop}:")
        for number in range(steps):
            if number == skipped != 0:
                self.job.code.emit(f"{loop}_entry:")
            last = number == steps - 1
            self.job.code.emit(f"ld a,(de)\n{'' if last else 'inc e'}")
            for index in ("ix", "iy"):
                self.job.code.emit(self._two_outputs("b", "c") + f"add {index},bc")
            self.job.code.emit("inc e" if last else "")
        if count > steps:
            self.job.code.emit(f"jp nz,{loop}")

    def _count_last(self) -> None:
        """The last byte, whose counts stay in BC and DE."""
        self.job.code.emit("ld a,(de)\n" + self._two_outputs("b", "c"))
        self.job.code.emit(self._two_outputs("d", "e"))

    def _two_outputs(self, high: str, low: str) -> str:
        """Counts of two outputs' equal bits into a pair of registers; A passes through."""
        if self.streams:
            return f"""
                pop {high}{low}
                xor {low}
                ld l,a
                xor {high}
                ld {low},(hl)
                ld l,a
                ld {high},(hl)
            """
        return "".join(
            f"""
                exx
                xor (hl)
                inc hl
                exx
                ld l,a
                ld {half},(hl)
            """
            for half in (low, high)
        )
