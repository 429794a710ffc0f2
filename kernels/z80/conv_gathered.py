"""Convolutions on Z80 with any encoding: windows gathered, then the encoding's Linear kernel.

Registers: what the Linear kernel uses, and what `Walk` does. Stack: the Linear kernel's, at least
two bytes. T-states of a position: those of the Linear kernel, of `Walk`, and 16 to 17 for each byte
gathered and copied out. Groups are walked one after the other; depthwise layers have a loop of
their own.
"""

from __future__ import annotations

from functools import partial

from kernels.emit import Job, emitter_like, tensor_symbol
from kernels.gathered import Group, ask_for_window, groups, runs, write_product
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.convolution import Convolution
from kernels.ops.linear import Linear
from kernels.z80.blocks import copy, step
from kernels.z80.depthwise import serves, write_depthwise
from kernels.z80.walk import Walk


@emitter_like("z80", Conv1d, Linear)
@emitter_like("z80", Conv2d, Linear)
def emit(job: Job) -> None:
    """Write the layer, group by group, or see `kernels.z80.depthwise`."""
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
    out.emit(step(group.first_input * walk.source.dtype.size))
    out.emit(f"ld de,{tensor_symbol(group.linear.input)}")
    layer = job.node
    assert isinstance(layer, Convolution)
    for number, (length, gap) in enumerate(runs(layer, walk.pitch)):
        copy(job, job.label(f"{walk.prefix}gather{number}"), length, walk.positions)
        out.emit(step(gap))
    write_product(job, group)
    out.emit(f"ld hl,{tensor_symbol(group.linear.output)}\nld de,({walk.state}+4)")
    copy(job, job.label(f"{walk.prefix}out"), group.linear.output.size, walk.positions)
