"""Depthwise convolutions with dense8 weights on Z80: channel by channel, two look-ups a product.

As in `linear_dense8`, w v = F(w + v) - F(w) - F(v). Nothing is shared between channels, so F(v) is
looked up for each product, too, from a table of its negatives. The sum of F(w) is in the bias.
Inputs are v = x - center; weights are stored as w + 128. The carry of w + 128 + v + 128 tells the
sign of w + v, and an index is folded at 0.

The stream holds, for each channel, its weights, then what requantization needs. Registers: DE
pixel; HL tables; BC a value; IX the sum; IY the stream.
"""

from __future__ import annotations

import numpy as np

from kernels.asm import Assembly
from kernels.emit import Job
from kernels.encodings import dense8
from kernels.ops.convolution import Convolution
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.requantize import constants_size, output_constants, requantize
from kernels.z80.triangles import HALF, folded_table, triangular
from kernels.z80.walk import Walk

_LARGEST = 64  # pixels of a window, whose code has no loop
_NEGATIVES = "triangles_negative"


def serves(job: Job) -> bool:
    """Whether the layer is one for this kernel: inputs of 8 bits, sums of 16."""
    layer, choice = job.node, job.choice
    assert isinstance(layer, Convolution)
    dense = choice is not None and choice.encoding == dense8.NAME
    if not dense or not layer.depthwise or layer.window.area > _LARGEST:
        return False
    narrow = layer.accumulator_bits(job.ranges[layer.input.name]) == 16
    return narrow and layer.input.dtype.size == 1


def write_depthwise(job: Job) -> None:
    """Write the walk. Uses every register. Stack: two bytes.

    T-states of a position: those of `Walk`; for each channel requantizing; for each product 155 or
    156, 7 more if inputs are signed.
    """
    layer = job.node
    assert isinstance(layer, Convolution)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    _write_stream(job, layer, plan)
    walk = Walk(
        job, layer.window, layer.image, layer.input, layer.output, layer.input.zero_point, ""
    )
    walk.write(lambda: _channels(job, layer, plan, walk))


def _write_stream(job: Job, layer: Convolution, plan: RequantPlan) -> None:
    weights = layer.matrix.astype(np.int64)
    center = 0 if layer.input.dtype.signed else HALF
    fixed = weights.sum(axis=1) * center - triangular(weights).sum(axis=1)
    bias = layer.folded_bias + (fixed << layer.input_shift)
    job.consts.emit(f"{job.label('stream')}:")
    for unit in range(len(bias)):
        job.consts.data(".byte", dense8.encode(layer.matrix[unit : unit + 1]))
        job.consts.data(".byte", output_constants(plan, bias, unit))


def _write_negatives(out: Assembly) -> None:
    values = -triangular(np.arange(-HALF, HALF))
    out.data(".byte", [*(values & 0xFF), *(values >> 8 & 0xFF)])


def _channels(job: Job, layer: Convolution, plan: RequantPlan, walk: Walk) -> None:
    """The loop over channels; the first pixel is at HL, the output at DE."""
    out, loop, output = job.code, job.label("channel"), layer.output
    state = job.scratch("state", 5)  # pixel, output, channels left
    out.emit(f"""
            ld ({state}),hl
            ld ({state}+2),de
            ld a,{layer.image[2] & 0xFF}
            ld ({state}+4),a
            ld iy,{job.label("stream")}
    {loop}:
            ld de,({state})
            ld ix,0
    """)
    _sum(job, layer, walk)
    out.emit(f"""
            push ix
            pop hl                      ; the sum
            ld bc,{layer.window.area}
            add iy,bc
            push iy
            pop ix
    """)
    job.at_most(loop, walk.positions * layer.image[2])
    requantize(job, loop, plan, walk.positions * layer.image[2])
    second = "ld a,h\nld (de),a\ninc de" if output.dtype.size == 2 else ""
    out.emit(f"""
            ld de,({state}+2)
            ld a,l
            ld (de),a
            inc de
            {second}
            ld ({state}+2),de
            ld bc,{constants_size(plan)}
            add ix,bc
            push ix
            pop iy
            ld hl,({state})
            inc hl
            ld ({state}),hl
            ld a,({state}+4)
            dec a
            ld ({state}+4),a
            jp nz,{loop}
    """)


def _sum(job: Job, layer: Convolution, walk: Walk) -> None:
    """Add F(w + v) - F(v) for all pixels of the channel, the first at DE, to IX."""
    folded = folded_table(job)
    negatives = job.share(_NEGATIVES, _write_negatives, align=256)
    flip = "xor 0x80" if layer.input.dtype.signed else ""
    rows, columns = layer.window.size
    for number in range(rows * columns):
        if number:
            gap = walk.pixel if number % columns else walk.pitch - (columns - 1) * walk.pixel
            job.code.emit(_step(gap))
        job.code.emit(f"""
            ld a,(de)
            {flip}
            ld l,a
            ld h,{negatives}>>8
            ld c,(hl)
            inc h
            ld b,(hl)
            add ix,bc
            add a,(iy+{number})
            jr c,$+3
            cpl
            ld l,a
            ld h,{folded}>>8
            ld c,(hl)
            inc h
            ld b,(hl)
            add ix,bc
        """)


def _step(gap: int) -> str:
    return f"ld a,e\nadd a,{gap & 0xFF}\nld e,a\nld a,d\nadc a,{gap >> 8}\nld d,a"
