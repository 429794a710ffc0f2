"""Pools on AVR: channel by channel over the pixels of a window."""

from __future__ import annotations

from collections.abc import Callable

from kernels.avr.blocks import again, step
from kernels.avr.requantize import ACC, finish
from kernels.avr.walk import Walk
from kernels.emit import Job, emitter
from kernels.ops.avg_pool import AvgPool
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.max_pool import MaxPool
from kernels.requant_plan import plan_requantization

_UNROLLED = 16  # pixels of the largest window that gets no loop
_REACH = 63  # of a displacement
_ZERO = 2  # a register that requantization leaves alone


@emitter("avr", MaxPool)
def emit_max(job: Job) -> None:
    """Write the walk. Registers: r18, r19 the largest; r20, r21 the pixel; r24 channels left.

    X, Z the window; Y the output; r22, r23 count the pixels of large windows. Stack: none. Cycles
    of a position: those of `Walk` and 1; for each channel 9 and for each pixel 5 of 8 bits, 12 and
    8 of 16; 2 more for pixels beyond the reach of a displacement.
    """
    layer = job.node
    assert isinstance(layer, MaxPool)
    walk = Walk(
        job, layer.window, layer.image, layer.input, layer.output, layer.input.dtype.low, ""
    )
    out, size, signed = job.code, layer.input.dtype.size, layer.input.dtype.signed
    label, number = job.label("channel"), iter(range(10_000))

    def visit(load: str) -> str:
        keep = f"{label}_{next(number)}"
        return f"""
                {load}
                cp    r18, r20
                {"cpc   r19, r21" if size == 2 else ""}
                {"brge" if signed else "brsh"}  {keep}
                {"movw  r18, r20" if size == 2 else "mov   r18, r20"}
        {keep}:
        """

    def body() -> None:
        job.at_most(label, walk.positions * layer.image[2])
        out.emit(f"ldi   r24, {layer.image[2] & 0xFF}\n{label}:\nmovw  r30, r26")
        start = out.size
        lowest = [0, 0x80 if signed else 0] if size == 2 else [0x80 if signed else 0]
        out.emit("\n".join(f"ldi   r{18 + byte}, {v}" for byte, v in enumerate(lowest)))
        out.emit(_pixels(walk, label, ("r20", "r21"), visit))
        out.emit("\n".join(f"st    Y+, r{18 + byte}" for byte in range(size)))
        out.emit(f"adiw  r26, {size}\ndec   r24")
        out.emit(again("ne", label, out.size - start))

    walk.write(body)


@emitter("avr", AvgPool)
@emitter("avr", GlobalAvgPool)
def emit_mean(job: Job) -> None:
    """Write the walk. Registers: those of `finish`; r2 zero; r16, r17 the pixel; r22, r23 counts.

    X, Z the window; Y the output. Pixels are made unsigned on loading. Stack: none. Cycles of a
    position: those of `Walk`; for each channel the requantization and, for each 8-bit pixel, 2
    and one for each byte of the sum, one more if it is signed, 2 more beyond a displacement's
    reach.
    """
    layer = job.node
    assert isinstance(layer, AvgPool | GlobalAvgPool)
    source = layer.input
    known, size = job.ranges[source.name], source.dtype.size
    plan = plan_requantization(layer, known)
    walk = Walk(job, layer.window, layer.image, source, layer.output, source.zero_point, "")
    low = min(known.low, source.zero_point)  # the padding's value may be among the pixels
    offset = 0 if low >= 0 else 1 << (source.dtype.bits - 1)
    sources = ["r16", "r17"][:size] + [f"r{_ZERO}"] * 4

    def visit(load: str) -> str:
        lines = [load, f"subi  r{15 + size}, 0x80" if offset else ""]
        for byte in range(plan.acc_bytes):
            lines.append(f"{'adc' if byte else 'add'}   r{ACC + byte}, {sources[byte]}")
        return "\n".join(lines)

    def body() -> None:
        label = job.label("channel")
        clears = "\n".join(f"clr   r{ACC + byte}" for byte in range(plan.acc_bytes))
        pixels = _pixels(walk, label, ("r16", "r17"), visit)
        fetch = f"movw  r30, r26\n{clears}\n{pixels}\nadiw  r26, {size}"
        job.code.emit(f"clr   r{_ZERO}\nldi   r24, {layer.image[2] & 0xFF}")
        bias = -(offset + source.zero_point) * layer.window.area
        finish(job, job.code, label, plan, (fetch, "Y+"), bias=bias)

    walk.write(body)


def _pixels(walk: Walk, label: str, registers: tuple[str, str], visit: Callable[[str], str]) -> str:
    """Lines that visit every pixel of a channel from Z on; Z is left anywhere.

    visit: lines for a pixel, given those that load it into the registers.
    """
    if walk.window.area > _UNROLLED:
        return _pixels_looped(walk, label, registers, visit)
    size, base, lines = walk.source.dtype.size, 0, []
    for row in range(walk.window.size[0]):
        for column in range(walk.window.size[1]):
            at = row * walk.pitch + column * walk.pixel
            if at - base + size - 1 > _REACH:
                lines.append(step("Z", at - base))
                base = at
            loads = [f"ldd   {registers[byte]}, Z+{at - base + byte}" for byte in range(size)]
            lines.append(visit("\n".join(loads)))
    return "\n".join(lines)


def _pixels_looped(
    walk: Walk, label: str, registers: tuple[str, str], visit: Callable[[str], str]
) -> str:
    size, (rows, columns) = walk.source.dtype.size, walk.window.size
    rows_left, columns_left = walk.counters()
    channels = walk.positions * walk.image[2]
    walk.job.at_most(f"{label}_row", channels * rows)
    walk.job.at_most(f"{label}_column", channels * rows * columns)
    load = "\n".join(f"ld    {registers[byte]}, Z+" for byte in range(size))
    return f"""
            ldi   r22, {rows_left}
    {label}_row:
            ldi   r23, {columns_left}
    {label}_column:
            {visit(load)}
            {step("Z", walk.pixel - size)}
            dec   r23
            brne  {label}_column
            {step("Z", walk.pitch - columns * walk.pixel)}
            dec   r22
            brne  {label}_row
    """
