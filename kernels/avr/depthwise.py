"""Depthwise convolutions with dense8 weights on AVR: channel by channel, weights streamed.

The stream at Z holds, for each channel, its weights as they are, then what requantization needs.
Weights are signed, and so are products; a sum of more than 16 bits takes the product's sign on top.

    lpm   r23, Z+       3
    ld    r22, X        2    and 2 to the next pixel
    muls  r23, r22      2    MULSU for unsigned inputs
    add, adc            2    with 24 or 32 bits SBC for the sign, and an ADC for each byte

Registers: r18 up the sum; r22 and r17 the input; r23 the weight; r3 a sign; X, Z, Y the output.
"""

from __future__ import annotations

import numpy as np

from kernels.avr.blocks import step
from kernels.avr.memory import load, point_z
from kernels.avr.requantize import ACC, finish, output_constants
from kernels.avr.walk import Walk
from kernels.emit import Job
from kernels.encodings import dense8
from kernels.ops.convolution import Convolution
from kernels.requant_plan import RequantPlan, plan_requantization

_LARGEST = 64  # pixels of a window, whose code has no loop


def serves(job: Job) -> bool:
    """Whether the layer is one for this kernel."""
    layer, choice = job.node, job.choice
    assert isinstance(layer, Convolution)
    dense = choice is not None and choice.encoding == dense8.NAME
    fits = layer.depthwise and layer.window.area <= _LARGEST
    return dense and fits and "MUL" in job.target.features


def write_depthwise(job: Job) -> None:
    """Write the walk. Clobbers every register but r2, r12 and r13. Stack: none.

    Cycles of a position: those of `Walk`, 3 and, for each channel, the products, a clear for each
    byte of the sum, 2 and requantizing.
    """
    layer = job.node
    assert isinstance(layer, Convolution)
    plan = plan_requantization(layer, job.ranges[layer.input.name])
    stream = job.label("stream")
    job.consts.emit(f"{stream}:")
    for unit in range(len(layer.bias)):
        job.consts.data(".byte", layer.matrix[unit].view(np.uint8))
        constants = output_constants(plan, layer.folded_bias, slice(unit, unit + 1))
        job.consts.data(".byte", constants)
    walk = Walk(
        job, layer.window, layer.image, layer.input, layer.output, layer.input.zero_point, ""
    )

    def body() -> None:
        job.code.emit(f"{point_z(job, stream)}\nldi   r24, {layer.image[2] & 0xFF}")
        fetch = _sum(job, layer, plan, walk)
        finish(job, job.code, job.label("channel"), plan, (fetch, "Y+"))

    walk.write(body)


def _sum(job: Job, layer: Convolution, plan: RequantPlan, walk: Walk) -> str:
    """Lines from the channel's first pixel at X to its sum; X goes to the next channel."""
    lines = [f"clr   r{ACC + byte}" for byte in range(plan.acc_bytes)]
    size, (rows, columns) = layer.input.dtype.size, layer.window.size
    offsets = [
        row * walk.pitch + column * walk.pixel for row in range(rows) for column in range(columns)
    ]
    for at, following in zip(offsets, [*offsets[1:], size], strict=True):
        lines.append(f"{load(job, 'r23')}                 ; w")
        lines.append("ld    r22, X" if size == 1 else "ld    r22, X+\nld    r17, X")
        lines.append(step("X", following - at - (size - 1)))
        if size == 1:
            signed = layer.input.dtype.signed
            lines += _multiply_add(plan, "muls  r23, r22" if signed else "mulsu r23, r22", 0)
        else:
            lines += _multiply_add(plan, "mulsu r23, r22", 0)
            lines += _multiply_add(plan, "muls  r23, r17", 1)
    return "\n".join(lines)


def _multiply_add(plan: RequantPlan, multiply: str, at: int) -> list[str]:
    """Add a signed product to the sum from byte `at` on."""
    wide = plan.acc_bytes > at + 2
    lines = [multiply, *(["sbc   r3, r3"] if wide else [])]
    for byte in range(at, plan.acc_bytes):
        source = {0: "r0", 1: "r1"}.get(byte - at, "r3")
        lines.append(f"{'adc' if byte > at else 'add'}   r{ACC + byte}, {source}")
    return lines
