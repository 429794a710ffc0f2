"""Linear with xnor weights on Z80: two bytes of inputs stay in registers, all outputs pass by.

sum(w b) = positive weights - popcount(w ^ b), and the popcount of a byte comes from a table. Counts
are bytes in a page that ends with the last output; no more inputs than a byte counts are taken
before they go to the layer's sums.

T-states per 16 products: 78, or 102 where interrupts are served, 7 less the first time, when there
is nothing to add to; and 10 per 8 outputs.

Registers: D, E inputs; HL table; BC weights; HL' counts; SP weights, or DE' where interrupts are
served.
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
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.accumulators import finish
from kernels.z80.stack_pointer import borrowed, may_borrow

_PAGE = 256
_WORD = 16  # inputs that stay in registers
_MOST_WORDS = 255 // _WORD  # that a byte counts
_UNROLL = 8
_BITS = np.array([bin(byte).count("1") for byte in range(256)])


@emitter("z80", Linear, xnor.NAME, reads_packed=True, writes_packed=True)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R; borrows SP. Stack: two bytes, or four."""
    layer = job.node
    assert isinstance(layer, Linear)
    _Xnor(job, layer, plan_requantization(layer, job.ranges[layer.input.name])).write()


def _write_table(out: Assembly) -> None:
    out.data(".byte", _BITS)


@dataclass(frozen=True)
class _Xnor:
    job: Job
    layer: Linear
    plan: RequantPlan

    def write(self) -> None:
        job, units = self.job, len(self.layer.bias)
        job.share("popcounts", _write_table, _PAGE)
        sums = job.scratch("sums", units * self.plan.acc_bytes)
        page = job.scratch("counts", _PAGE, _PAGE)
        words = -(-self.layer.input.count // _WORD)
        unit = 0
        for size in blocks(units, _PAGE):
            word = 0
            for count in blocks(words, _MOST_WORDS):
                for number in range(word, word + count):
                    block = _Block(job, self.layer, unit, size, number, f"{page}+{_PAGE - size}")
                    block.count_differences(first=number == word)
                self._subtract(unit, size, page, sums, first=word == 0)
                word += count
            unit += size
        finish(job, self.layer, self.plan, sums, self._bias())

    def _bias(self) -> NDArray[np.int64]:
        positive = (self.layer.weights > 0).sum(axis=1).astype(np.int64)
        bias: NDArray[np.int64] = self.layer.folded_bias + (positive << self.layer.input_shift)
        return bias

    def _subtract(self, unit: int, size: int, page: str, sums: str, *, first: bool) -> None:
        """Counts from the sums, which are 0 at first."""
        loop, more = self._fresh("subtract"), self.plan.acc_bytes
        self.job.at_most(loop, size)
        self.job.code.emit(f"""
            ld hl,{page}+{_PAGE - size}
            ld de,{sums}+{unit * more}
        {loop}:
        """)
        if first:
            self.job.code.emit("ld a,(hl)\nneg\nld (de),a\ninc de\nsbc a,a")
            self.job.code.emit("ld (de),a\ninc de\n" * (more - 1))
        else:
            self.job.code.emit("ld a,(de)\nsub (hl)\nld (de),a\ninc de")
            self.job.code.emit("ld a,(de)\nsbc a,0\nld (de),a\ninc de\n" * (more - 1))
        self.job.code.emit(f"inc l\njp nz,{loop}")

    def _fresh(self, name: str) -> str:
        """A label that no block of outputs or inputs has had."""
        number = 0
        while self.job.label(f"{name}{number}") in self.job.code.labels:
            number += 1
        return self.job.label(f"{name}{number}")


@dataclass(frozen=True)
class _Block:
    """A word of inputs and some outputs. counts: where the first one's count lies."""

    job: Job
    layer: Linear
    unit: int
    units: int
    word: int
    counts: str

    def label(self, name: str) -> str:
        """A symbol of this block's own."""
        return self.job.label(f"u{self.unit}_w{self.word}_{name}")

    def count_differences(self, *, first: bool) -> None:
        """Add the popcounts of two bytes to all counts; first: set them."""
        self._write_weights()
        self._load_inputs()
        out, streams = self.job.code, may_borrow(self.job.target)
        weights = self.label("weights")
        out.emit(f"ld h,popcounts>>8\nexx\nld hl,{self.counts}")
        out.emit("exx" if streams else f"ld de,{weights}\nexx")
        if streams:
            with borrowed(self.job, f"sp{self.unit}_{self.word}"):
                out.emit(f"ld sp,{weights}")
                self._pass_outputs(_STREAMED, first=first)
        else:
            self._pass_outputs(_BESIDE_A_STACK, first=first)

    def _write_weights(self) -> None:
        """Two bytes an output; a last byte that inputs do not fill is 0."""
        columns = slice(self.word * _WORD, (self.word + 1) * _WORD)
        weights = self.layer.weights[self.unit : self.unit + self.units, columns]
        data = np.zeros((self.units, 2), np.uint8)
        rows = xnor.encode(weights).reshape(self.units, -1)
        data[:, : rows.shape[1]] = rows
        self.job.consts.emit(f"{self.label('weights')}:")
        self.job.consts.data(".byte", data.ravel())

    def _load_inputs(self) -> None:
        at = f"{tensor_symbol(self.layer.input)}+{2 * self.word}"
        if 2 * self.word + 1 < self.layer.input.size:
            self.job.code.emit(f"ld de,({at})")
        else:
            self.job.code.emit(f"ld a,({at})\nld e,a\nld d,0")

    def _pass_outputs(self, weights: tuple[str, str], *, first: bool) -> None:
        out, loop = self.job.code, self.label("loop")
        skipped = -self.units % _UNROLL
        self.job.at_most(loop, self.units // _UNROLL)
        if skipped:
            out.emit(f"jp {loop}_entry")
        out.emit(f"{loop}:")
        for number in range(_UNROLL):
            if number == skipped != 0:
                out.emit(f"{loop}_entry:")
            out.emit(f"""
                {weights[0]}
                xor e
                ld l,a
                ld c,(hl)
                {weights[1]}
                xor d
                ld l,a
                ld a,(hl)
                add a,c                     ; differences of 16 inputs
                exx
                {"" if first else "add a,(hl)"}
                ld (hl),a
                inc l
                exx
            """)
        out.emit(f"jp nz,{loop}")


# A weight each into A.
_STREAMED = ("pop bc\nld a,c", "ld a,b")
_BESIDE_A_STACK = ("exx\nld a,(de)\ninc de\nexx", "exx\nld a,(de)\ninc de\nexx")
