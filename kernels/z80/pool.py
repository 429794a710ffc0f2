"""Pools on Z80: channel by channel over the pixels of a window."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np

from kernels.emit import Job, emitter
from kernels.ops.avg_pool import AvgPool
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.max_pool import MaxPool
from kernels.requant_plan import RequantPlan, plan_requantization
from kernels.z80.accumulators import store_output
from kernels.z80.requantize import output_constants, requantize
from kernels.z80.walk import Walk

_UNROLLED = 16  # pixels of the largest window that gets no loop


@emitter("z80", MaxPool)
def emit_max(job: Job) -> None:
    """Write the walk. Registers: HL pixel; BC (C) the largest; DE steps; IX counts; IY output.

    Signed pixels are compared with their sign bits flipped. Clobbers AF, BC, DE, HL, IX, IY. Stack:
    two bytes. T-states of a position: those of `Walk` and 45; for each channel 89; for each pixel
    of 8 bits 43, 7 more each if it is signed.
    """
    layer = job.node
    assert isinstance(layer, MaxPool)
    dtype = layer.input.dtype
    walk = Walk(job, layer.window, layer.image, layer.input, layer.output, dtype.low, "")
    flip = "xor 0x80" if dtype.signed else ""
    numbers = count()
    visit = _larger_word if dtype.size == 2 else _larger_byte

    def channel() -> None:
        out = job.code
        out.emit("ld bc,0                     ; no pixel is below")
        pixels = _pixels(walk, lambda: visit(job.label(f"keep{next(numbers)}"), flip))
        out.emit(pixels)
        out.emit("ld (iy+0),c\ninc iy\nld a,b" if dtype.size == 2 else "ld a,c")
        out.emit(f"{flip}\nld (iy+0),a\ninc iy")

    walk.write(lambda: _channels(walk, channel))


@emitter("z80", AvgPool)
@emitter("z80", GlobalAvgPool)
def emit_mean(job: Job) -> None:
    """Write the walk. Registers: HL pixel, DE steps; HL' and BC' the sum, DE' the pixel's value.

    IX counts, then the requantization's constants; IY output. Clobbers every register. Stack: four
    bytes. T-states of a position: those of `Walk` and 45; for each channel the requantization; for
    each pixel of 8 bits 51, 7 more if it is signed, 12 more where the sum has more than 16 bits.
    """
    layer = job.node
    assert isinstance(layer, AvgPool | GlobalAvgPool)
    source = layer.input
    known = job.ranges[source.name]
    plan = plan_requantization(layer, known)
    walk = Walk(job, layer.window, layer.image, source, layer.output, source.zero_point, "")
    low = min(known.low, source.zero_point)  # the padding's value may be among the pixels
    offset = 0 if low >= 0 else 1 << (source.dtype.bits - 1)
    bias = np.array([-(offset + source.zero_point) * layer.window.area])
    constants, numbers = job.label("constants"), count()
    job.consts.emit(f"{constants}:")
    job.consts.data(".byte", output_constants(plan, bias, 0))

    def visit() -> str:
        return _add_pixel(job.label(f"sum{next(numbers)}"), plan, source.dtype.size, offset)

    def channel() -> None:
        out = job.code
        out.emit("exx\nld hl,0\nld bc,0\nld d,0\nexx")
        out.emit(_pixels(walk, visit))
        top = {2: "", 3: "ld a,c", 4: "push bc\nexx\npop hl\nexx"}[plan.acc_bytes]
        out.emit(f"ld ix,{constants}\nexx\n{top}")
        requantize(job, job.label("channel"), plan, walk.positions * walk.image[2])
        store_output(out, layer.output.dtype.size)

    walk.write(lambda: _channels(walk, channel))


def _channels(walk: Walk, channel: Callable[[], None]) -> None:
    """The loop over the channels of a window; the body finds the pixel at HL and stores at IY."""
    job, out, size = walk.job, walk.job.code, walk.source.dtype.size
    left, loop = job.scratch("channels", 1), job.label("next_channel")
    job.at_most(loop, walk.positions * walk.image[2])
    out.emit(f"""
            push de
            pop iy
            ld a,{walk.image[2] & 0xFF}
            ld ({left}),a
    {loop}:
            push hl
    """)
    channel()
    step = "inc hl\n" * size
    out.emit(f"""
            pop hl
            {step}
            ld a,({left})
            dec a
            ld ({left}),a
            jp nz,{loop}
    """)


def _pixels(walk: Walk, visit: Callable[[], str]) -> str:
    """Lines that visit every pixel of a channel from HL on; a visit leaves HL at its last byte."""
    (rows, columns), last = walk.window.size, walk.source.dtype.size - 1
    across = walk.pixel - last
    down = walk.pitch - (columns - 1) * walk.pixel - last
    if walk.window.area > _UNROLLED:
        return _pixels_looped(walk, visit(), across)
    lines = []
    for row in range(rows):
        for column in range(columns):
            lines.append(visit())
            if column < columns - 1:
                lines.append(f"ld de,{across}\nadd hl,de")
            elif row < rows - 1:
                lines.append(f"ld de,{down}\nadd hl,de")
    return "\n".join(lines)


def _pixels_looped(walk: Walk, visit: str, across: int) -> str:
    rows, columns = walk.window.size
    rows_left, columns_left = walk.counters()
    label, channels = walk.job.label("pixel"), walk.positions * walk.image[2]
    walk.job.at_most(f"{label}_row", channels * rows)
    walk.job.at_most(label, channels * rows * columns)
    return f"""
            ld ixh,{rows_left}
    {label}_row:
            ld ixl,{columns_left}
    {label}:
            {visit}
            ld de,{across}
            add hl,de
            dec ixl
            jp nz,{label}
            ld de,{walk.pitch - columns * walk.pixel}
            add hl,de
            dec ixh
            jp nz,{label}_row
    """


def _larger_byte(label: str, flip: str) -> str:
    return f"""
            ld a,(hl)
            {flip}
            cp c
            jr c,{label}
            ld c,a
    {label}:
    """


def _larger_word(label: str, flip: str) -> str:
    return f"""
            ld e,(hl)
            inc hl
            ld a,(hl)
            {flip}
            cp b
            jr c,{label}
            jr nz,{label}_above
            ld a,e
            cp c
            jr c,{label}
            ld a,b
    {label}_above:
            ld b,a
            ld c,e
    {label}:
    """


def _add_pixel(label: str, plan: RequantPlan, size: int, offset: int) -> str:
    """Add the pixel at HL, made unsigned, to the sum in the other register set."""
    flip = "xor 0x80" if offset else ""
    carry = f"jr nc,{label}\ninc bc\n{label}:" if plan.acc_bytes > 2 else ""
    low = "ld a,(hl)\ninc hl\nexx\nld e,a\nexx" if size == 2 else ""
    return f"""
            {low}
            ld a,(hl)
            {flip}
            exx
            ld {"d" if size == 2 else "e"},a
            add hl,de
            {carry}
            exx
    """
