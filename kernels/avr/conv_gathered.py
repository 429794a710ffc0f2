"""Convolutions on AVR with any encoding: windows gathered, then the encoding's Linear kernel.

Registers: what the Linear kernel uses, and what `Walk` does. Stack: the Linear kernel's. Cycles of
a position: those of the Linear kernel, of `Walk`, and 4 to 5 for each byte gathered and copied out.
Groups are walked one after the other; depthwise layers have a loop of their own.
"""

from __future__ import annotations

from functools import partial

from kernels.avr.blocks import copy, step
from kernels.avr.depthwise import serves, write_depthwise
from kernels.avr.memory import point
from kernels.avr.walk import Walk
from kernels.emit import Job, emitter_like, tensor_symbol
from kernels.gathered import Group, ask_for_window, groups, runs, write_product
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.convolution import Convolution
from kernels.ops.linear import Linear


@emitter_like("avr", Conv1d, Linear)
@emitter_like("avr", Conv2d, Linear)
def emit(job: Job) -> None:
    """Write the layer, group by group, or see `kernels.avr.depthwise`."""
    layer = job.node
    assert isinstance(layer, Convolution)
    if serves(job):
        write_depthwise(job)
        return
    for group in groups(layer):
        if group.number == 0:
            ask_for_window(job, group)
        walk = Walk(
            job,
            layer.window,
            layer.image,
            layer.input,
            layer.output,
            layer.input.zero_point,
            f"g{group.number}_",
        )
        body = partial(_body, walk, group)
        walk.write(body, first=group.first_output * layer.output.dtype.size)


def _body(walk: Walk, group: Group) -> None:
    job, out = walk.job, walk.job.code
    layer = job.node
    assert isinstance(layer, Convolution)
    out.emit(step("X", group.first_input * walk.source.dtype.size))
    out.emit(point("Y", tensor_symbol(group.linear.input)))
    for number, (length, gap) in enumerate(runs(layer, walk.pitch)):
        copy(job, job.label(f"{walk.prefix}gather{number}"), length, walk.positions)
        out.emit(step("X", gap))
    write_product(job, group)
    out.emit(f"""
        {point("X", tensor_symbol(group.linear.output))}
        lds   r28, {walk.state} + 4
        lds   r29, {walk.state} + 5
    """)
    copy(job, job.label(f"{walk.prefix}out"), group.linear.output.size, walk.positions)
