"""A convolution as a Linear layer over a gathered window, for every instruction set.

An encoding owns the whole matrix-vector product. A convolution with that encoding gathers each
window into scratch, runs the encoding's Linear kernel on it, and copies the result out. So every
encoding that has a Linear kernel serves convolutions, at the price of those two copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kernels.emit import Job, Scratch, find_emitter, tensor_symbol
from kernels.ir import Tensor
from kernels.ops.convolution import Convolution
from kernels.ops.linear import Linear
from kernels.quant import Requantization


@dataclass(frozen=True, eq=False, slots=True)
class Group:
    """One group's product. first_input, first_output: its first channels."""

    number: int
    linear: Linear
    first_input: int
    first_output: int


def groups(layer: Convolution) -> Iterator[Group]:
    """Each group of a convolution as a Linear layer between tensors of scratch."""
    outputs = len(layer.weights) // layer.groups
    window = Tensor(
        f"{layer.name}_window",
        (layer.matrix.shape[1],),
        layer.input.dtype,
        zero_point=layer.input.zero_point,
    )
    point = Tensor(
        f"{layer.name}_point", (outputs,), layer.output.dtype, zero_point=layer.output.zero_point
    )
    for number in range(layer.groups):
        units = slice(number * outputs, (number + 1) * outputs)
        linear = Linear(
            f"{layer.name}_product{number}",
            window,
            point,
            layer.matrix[units],
            layer.bias[units],
            _part(layer.requantization, units),
            layer.input_shift,
            layer.wrap,
        )
        yield Group(number, linear, number * layer.image[2] // layer.groups, units.start)


def runs(layer: Convolution, pitch: int) -> list[tuple[int, int]]:
    """The runs of bytes that make up a group's window: length, and what is skipped behind it.

    pitch: bytes from a row of the image to the next, where it is read.
    """
    size, (rows, columns) = layer.input.dtype.size, layer.window.size
    pixel = layer.image[2] * size
    if layer.groups == 1:
        length = columns * pixel
        found = [(length, pitch - length)] * rows
    else:
        length = pixel // layer.groups
        row = [(length, pixel - length)] * (columns - 1)
        found = [*row, (length, pitch - (columns - 1) * pixel - length)] * rows
    return [*found[:-1], (length, 0)]


def ask_for_window(job: Job, group: Group) -> None:
    """The scratch that stands for the Linear layer's input."""
    tensor = group.linear.input
    job.scratches.append(Scratch(tensor_symbol(tensor), tensor.size, 1))


def write_product(job: Job, group: Group) -> None:
    """The Linear kernel's code, at the end of the convolution's code so far, for each position."""
    layer = job.node
    assert isinstance(layer, Convolution)
    ranges = {group.linear.input.name: layer.factors(job.ranges[layer.input.name])}
    part = Job(group.linear, job.target, job.isa, ranges, job.shared, job.far, choice=job.choice)
    kernel = find_emitter(job.target.isa, group.linear, job.choice, (group.linear.input,))
    kernel.write(part)
    rows, columns = layer.window.positions(layer.image)
    job.absorb(part, rows * columns)
    _ask_for_point(job, part)


def _ask_for_point(job: Job, part: Job) -> None:
    """The scratch that stands for the product's output: the most that any group needs."""
    output = part.node.output
    wanted = part.buffer or Scratch(tensor_symbol(output), output.size, 1)
    known = [scratch for scratch in job.scratches if scratch.symbol == wanted.symbol]
    for scratch in known:
        job.scratches.remove(scratch)
    size, align = (max(getattr(s, what) for s in (wanted, *known)) for what in ("size", "align"))
    job.scratches.append(Scratch(wanted.symbol, size, align))


def _part(how: Requantization, units: slice) -> Requantization:
    if len(how.multiplier) == 1:
        return how
    return Requantization(
        how.multiplier[units], how.shift, how.rounding, how.zero_point, how.low, how.high
    )
