"""Random networks that hold every op: a chain over an image or a sequence, with a branch.

A seed gives the same network everywhere; what the compiler refuses is drawn again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from random_graphs import random_weights

from kernels.compile import compile_graph
from kernels.dtypes import INT8, INT16, UINT8, DType
from kernels.emit import kernels_for
from kernels.errors import AccumulatorOverflow, DoesNotFit, Unsupported
from kernels.image import Program
from kernels.ir import Graph, Node, Range, Tensor
from kernels.ops.add import Add
from kernels.ops.argmax import Argmax
from kernels.ops.avg_pool import AvgPool
from kernels.ops.conv1d import Conv1d
from kernels.ops.conv2d import Conv2d
from kernels.ops.flatten import Flatten
from kernels.ops.global_avg_pool import GlobalAvgPool
from kernels.ops.linear import Linear
from kernels.ops.matrix_product import MatrixProduct
from kernels.ops.max_pool import MaxPool
from kernels.ops.relu import Relu
from kernels.ops.table_activation import TableActivation
from kernels.ops.window import Window, as_image, as_pair
from kernels.quant import Requantization, Rounding
from kernels.target import Target

ATTEMPTS = 40
UNWRAPPED = 4096  # RJMP and RCALL wrap around the ATtiny85's flash, but not in avr8js


def random_network_program(
    target: Target, encoding: str, axes: int, rng: np.random.Generator
) -> Program:
    """A program whose input is an image (2 axes) or a sequence (1), products in that encoding."""
    refusals = []
    small = target.isa == "avr" and "JMP" not in target.features
    for _ in range(ATTEMPTS):
        graph = random_network(encoding, axes, rng, most=1 if small else 4)
        products = [node for node in graph.nodes if isinstance(node, MatrixProduct)]
        served = [n.name for n in products if encoding in kernels_for(target.isa, type(n))]
        try:
            program = _compile(graph, target, encoding, served)
        except (Unsupported, DoesNotFit, AccumulatorOverflow) as refusal:
            refusals.append(str(refusal))
            continue
        if not small or program.flash <= UNWRAPPED:
            return program
        refusals.append(f"{program.flash} bytes")
    raise AssertionError("every network was refused: " + "; ".join(refusals[-3:]))


def _compile(graph: Graph, target: Target, encoding: str, layers: list[str]) -> Program:
    """With that encoding for all of these layers that its kernels do not refuse."""
    try:
        return compile_graph(graph, target, dict.fromkeys(layers, encoding))
    except Unsupported as refusal:
        served = [
            name for name in layers if not str(refusal).startswith(f"{name}: weights as code")
        ]
        if len(served) in {0, len(layers)}:
            raise
        return _compile(graph, target, encoding, served)


def random_network(encoding: str, axes: int, rng: np.random.Generator, most: int = 4) -> Graph:
    """Convolution, depthwise convolution, Relu, Add, pools, table, Flatten or mean, Linear.

    most: channels of the first convolution's output.
    """
    dtype = _dtype(rng)
    shape = (*(int(n) for n in rng.integers(3, 6, axes)), int(rng.integers(1, 4)))
    x = Tensor("x", shape, dtype, zero_point=_zero_point(dtype, rng), bounds=_bounds(dtype, rng))
    nodes: list[Node] = []
    nodes.append(_conv("conv", x, encoding, 1, rng, most=most))
    first = nodes[-1].output
    nodes.append(_conv("depthwise", first, encoding, first.shape[-1], rng, most=1))
    before = nodes[-1].output
    relu = Relu("relu", before, replace(before, name="relu_out"), before.zero_point)
    nodes.append(relu)
    output = _tensor("add_out", before.shape, INT8, rng)
    how = _how(output, 1, rng, largest=1)
    nodes.append(Add("add", before, relu.output, output, (int(rng.integers(1, 500)), 99), how))
    largest = replace(output, name="max_out", shape=_pooled(output.shape, axes, 3, 2, 1))
    sizes = (3,) * axes, (2,) * axes, (1,) * axes
    nodes.append(MaxPool("max", output, largest, *sizes))
    table = rng.integers(0, 256, 256)
    squashed = _tensor("table_out", largest.shape, UINT8, rng)
    nodes.append(TableActivation("table", largest, squashed, table))
    mean = _tensor("mean_out", _pooled(squashed.shape, axes, 2, 1, 1), _dtype(rng), rng)
    sizes = (2,) * axes, (1,) * axes, (1,) * axes
    how = _how(mean, 1, rng)
    nodes.append(AvgPool("mean", squashed, mean, *sizes, requantization=how))
    if rng.random() < 0.5:
        flat = replace(mean, name="flat", shape=(mean.count,))
        nodes.append(Flatten("flatten", mean, flat))
    else:
        flat = _tensor("flat", mean.shape[-1:], INT8, rng)
        nodes.append(GlobalAvgPool("whole", mean, flat, requantization=_how(flat, 1, rng)))
    weights = random_weights(encoding, (3, flat.count), rng)
    logits = _tensor("logits", (3,), INT16, rng)
    bias = rng.integers(-999, 999, 3).astype(np.int32)
    nodes.append(Linear("fc", flat, logits, weights, bias, _how(logits, 3, rng)))
    nodes.append(Argmax("argmax", logits, Tensor("best", (1,), UINT8)))
    return Graph("network", x, tuple(nodes), ("relu_out", "logits", "best"))


def _conv(
    name: str,
    source: Tensor,
    encoding: str,
    groups: int,
    rng: np.random.Generator,
    *,
    most: int,
) -> Conv1d | Conv2d:
    axes = len(source.shape) - 1
    stride, padding, size = int(rng.integers(1, 3)), int(rng.integers(0, 2)), 3
    if groups > 1 or min(source.shape[:-1]) < size:
        stride, padding = 1, 1
    outputs = groups if groups > 1 else int(rng.integers(1, most, endpoint=True))
    inputs = source.shape[-1] // groups
    matrix = random_weights(encoding, (outputs, inputs * size**axes), rng)
    weights = matrix.reshape(outputs, inputs, *(size,) * axes)
    bias = rng.integers(-3000, 3000, outputs).astype(np.int32)
    shape = (*_pooled(source.shape, axes, size, stride, padding)[:-1], outputs)
    output = _tensor(f"{name}_out", shape, _dtype(rng), rng)
    how = _how(output, outputs, rng)
    if axes == 1:
        parts = (name, source, output, weights, bias, how)
        return Conv1d(*parts, wrap=16, groups=groups, stride=stride, padding=padding)
    return Conv2d(
        name,
        source,
        output,
        weights,
        bias,
        how,
        groups=groups,
        stride=(stride, stride),
        padding=(padding, padding),
    )


def _pooled(
    shape: tuple[int, ...], axes: int, size: int, stride: int, padding: int
) -> tuple[int, ...]:
    pairs = (as_pair((n,) * axes, least) for n, least in ((size, 1), (stride, 1), (padding, 0)))
    return (*Window(*pairs).positions(as_image(shape))[:axes], shape[-1])


def _how(
    output: Tensor, channels: int, rng: np.random.Generator, largest: int = 256
) -> Requantization:
    multiplier = rng.integers(1, largest, channels, endpoint=True).astype(np.int64)
    rounding = Rounding.HALF_UP if rng.random() < 0.7 else Rounding.FLOOR
    low = output.zero_point if rng.random() < 0.3 else output.dtype.low
    shift = int(rng.integers(4, 18)) if largest > 1 else int(rng.integers(2, 10))
    return Requantization(multiplier, shift, rounding, output.zero_point, low, output.dtype.high)


def _tensor(name: str, shape: tuple[int, ...], dtype: DType, rng: np.random.Generator) -> Tensor:
    return Tensor(name, shape, dtype, zero_point=_zero_point(dtype, rng))


def _zero_point(dtype: DType, rng: np.random.Generator) -> int:
    return int(rng.integers(-20, 20)) if dtype.signed and rng.random() < 0.5 else 0


def _bounds(dtype: DType, rng: np.random.Generator) -> Range | None:
    return Range(0, 100) if rng.random() < 0.3 else Range(max(dtype.low, -999), dtype.high)


def _dtype(rng: np.random.Generator) -> DType:
    return (UINT8, INT8, INT8, INT16)[int(rng.integers(4))]
