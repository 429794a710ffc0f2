"""Linear with dense8 weights on Z80: output-stationary, one table look-up a product.

With T(n) = n * (n - 1) / 2, w * x = T(w + x) - T(w) - T(x). The table holds T(n) for n in
[-256, 255] in four pages: low bytes, then high bytes. The sum of T(w) is in the bias; the sum of
T(x) is taken once a layer and is where accumulators start. All sums are modulo 2**bits, so only the
final accumulator has to fit, which is proven.

Unsigned bytes count as x - 128, signed ones get their sign bit flipped on loading, so that weights
stored as w + 128 and inputs add up to n + 256, whose carry selects the page. 16-bit inputs take two
walks along the row, one for each byte.

Registers: C, B, E, D accumulator; HL table; HL' weights and, behind each row, the constants of its
output; DE' inputs; B' loop; IY outputs. T-states per product of bytes: 91, plus 12 for accumulators
of more than 16 bits (13 where the lower 16 carry), plus 7 for signed bytes, plus 14 per 8 products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.emit import Job, emitter, tensor_symbol
from kernels.encodings import dense8
from kernels.errors import Unsupported
from kernels.ops.linear import Linear
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.requantize import constants_size, output_constants, requantize

_UNROLL = 8
_TABLE = "square_table"


@emitter("z80", Linear, dense8.NAME)
def emit(job: Job) -> None:
    """Write the layer. Uses every register but I and R. Stack: two bytes."""
    layer = job.node
    assert isinstance(layer, Linear)
    if layer.input.count >= 256 * _UNROLL:
        raise Unsupported(f"{layer.name}: dense8 on z80 takes fewer than {256 * _UNROLL} inputs")
    _Dense8(job, layer, plan_requantization(layer, job.ranges[layer.input.name])).write()


def triangular(n: NDArray[np.int64]) -> NDArray[np.int64]:
    """T(n) = n * (n - 1) / 2, int64, of any shape."""
    values: NDArray[np.int64] = n * (n - 1) // 2
    return values


def _write_table(out: Assembly) -> None:
    values = triangular(np.arange(-256, 256))
    out.data(".byte", [*(values & 0xFF), *(values >> 8)])


@dataclass(frozen=True)
class _Walk:
    """One byte of the inputs: where it lies, and the symbol of where its accumulators start."""

    byte: int
    signed: bool
    start: str

    @property
    def center(self) -> int:
        """What is added to the byte's value before it enters the table."""
        return 0 if self.signed else -128


@dataclass(frozen=True)
class _Dense8:
    job: Job
    layer: Linear
    plan: RequantPlan

    def write(self) -> None:
        job, out = self.job, self.job.code
        job.share(_TABLE, _write_table, align=512)
        dtype = self.layer.input.dtype
        walks = [
            _Walk(byte, dtype.signed and byte == dtype.size - 1, job.scratch(f"start{byte}", 4))
            for byte in range(dtype.size)
        ]
        self._write_stream(walks)
        for walk in walks:
            self._sum_inputs(walk)
        out.emit(f"""
            exx
            ld hl,{job.label("stream")}
            exx
            ld iy,{tensor_symbol(self.layer.output)}
        {job.label("row")}:
        """)
        self._walk_row(walks[0])
        if len(walks) == 2:
            self._walk_row_again(walks[1])
        self._finish_row()

    def _write_stream(self, walks: list[_Walk]) -> None:
        layer = self.layer
        weights = layer.weights.astype(np.int64)
        squares, sums = triangular(weights).sum(axis=1), weights.sum(axis=1)
        fixed = sum((squares + walk.center * sums) << (8 * walk.byte) for walk in walks)
        bias = layer.folded_bias - (fixed << layer.input_shift)
        out = self.job.consts
        out.emit(f"{self.job.label('stream')}:")
        for unit in range(len(weights)):
            out.data(".byte", dense8.encode(layer.weights[unit : unit + 1]))
            out.data(".byte", output_constants(self.plan, bias, unit))

    def _sum_inputs(self, walk: _Walk) -> None:
        """Start = minus the sum of T(x), which is the sum of products with a weight of zero."""
        out = self.job.code
        out.emit("ld bc,0\nld de,0\nexx")
        self._products(self.job.label(f"sum{walk.byte}"), walk, f"add a,{dense8.OFFSET}")
        out.emit(f"""
            ld hl,0
            or a
            sbc hl,bc
            ld ({walk.start}),hl
            ld hl,0
            sbc hl,de
            ld ({walk.start}+2),hl
        """)

    def _walk_row(self, walk: _Walk) -> None:
        """The accumulator of one byte of all inputs."""
        self.job.code.emit(f"ld bc,({walk.start})\nld de,({walk.start}+2)\nexx")
        self._products(self.job.label(f"mac{walk.byte}"), walk, "add a,(hl)\ninc hl")

    def _walk_row_again(self, walk: _Walk) -> None:
        """The upper bytes' accumulator, times 256, onto the lower bytes'."""
        out, low = self.job.code, self.job.scratch("low", 4)
        out.emit(f"""
            ld ({low}),bc
            ld ({low}+2),de
            exx
            ld bc,{-self.layer.input.count}
            add hl,bc                   ; the row's weights again
            exx
        """)
        self._walk_row(walk)
        out.emit(f"""
            ld d,e
            ld e,b
            ld b,c
            ld c,0
            ld hl,({low})
            add hl,bc
            ld c,l
            ld b,h
            ld hl,({low}+2)
            adc hl,de
            ex de,hl
        """)

    def _products(self, label: str, walk: _Walk, add_weight: str) -> None:
        """Add T(w + x) for all inputs; entered with the other register set, left without."""
        out, source = self.job.code, self.layer.input
        groups, rest = divmod(source.count, _UNROLL)
        product = self._product(walk, add_weight)
        out.emit(f"ld de,{tensor_symbol(source)}+{walk.byte}")
        for number in range(rest):
            out.emit(product.replace("SKIP", f"{label}_r{number}"))
        if groups:
            out.emit(f"ld b,{groups}\n{label}:")
            for number in range(_UNROLL):
                out.emit(product.replace("SKIP", f"{label}_{number}"))
            out.emit(f"dec b\njp nz,{label}")
        out.emit("exx")

    def _product(self, walk: _Walk, add_weight: str) -> str:
        step = "inc de\n" * self.layer.input.dtype.size
        flip = "xor 0x80" if walk.signed else ""
        carry = "jr nc,SKIP\ninc de\nSKIP:" if self.plan.acc_bytes > 2 else ""
        return f"""
            ld a,(de)                   ; x
            {step}
            {flip}
            {add_weight}
            exx
            ld l,a
            ld a,{_TABLE}>>9
            adc a,a
            ld h,a
            ld a,(hl)                   ; acc += T(w + x)
            add a,c
            ld c,a
            inc h
            inc h
            ld a,(hl)
            adc a,b
            ld b,a
            {carry}
            exx
        """

    def _finish_row(self) -> None:
        job, out, output = self.job, self.job.code, self.layer.output
        row = job.label("row")
        out.emit("""
            exx                         ; behind the weights: the output's constants
            push hl
            exx
            pop ix
        """)
        top = {2: "", 3: "ld a,e", 4: "push de\nexx\npop hl\nexx"}[self.plan.acc_bytes]
        out.emit(f"ld l,c\nld h,b\n{top}")
        requantize(out, row, self.plan)
        store_output(out, output.dtype.size)
        end = f"({tensor_symbol(output)}+{output.size})"
        out.emit(f"""
            ld de,{constants_size(self.plan)}
            add ix,de
            push ix
            exx
            pop hl
            exx
            ld a,iyl
            cp {end}&0xff
            jp nz,{row}
            ld a,iyh
            cp {end}>>8
            jp nz,{row}
        """)


def store_output(out: Assembly, size: int) -> None:
    """HL or L to where IY points, and step on."""
    out.emit("ld (iy+0),l\ninc iy")
    if size == 2:
        out.emit("ld (iy+0),h\ninc iy")
