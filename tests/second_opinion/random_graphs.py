"""Random graphs for one encoding: few layers, shapes at the edges of blocks, every kind of number.

A seed gives the same graph everywhere. What the compiler refuses (a dtype, a shape, a width that a
kernel does not take) is drawn again, so each seed gives a program in the end.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.compile import compile_graph
from kernels.dtypes import DTYPES, UINT8, DType
from kernels.encodings import find_encoding
from kernels.errors import AccumulatorOverflow, DoesNotFit, Unsupported
from kernels.image import Program
from kernels.ir import Graph, Range, Tensor
from kernels.ops.argmax import Argmax
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.target import Target

T = TypeVar("T")

ATTEMPTS = 300
INPUTS = (1, 2, 3, 7, 8, 9, 31, 64, 100, 255, 256, 257)
OUTPUTS = (1, 2, 5, 7, 8, 10, 11, 20, 33, 64)
WRAPS = (None, 16, 24, 32)
WEIGHTS = (  # sets that encodings are made for, the widest first
    np.arange(-128, 128),
    np.arange(-8, 8),
    np.array([-2, -1, 0, 0, 0, 0, 1, 2]),
    np.array([-2, -1, 0, 0, 0, 0, 1]),
    np.array([-1, 0, 0, 1]),
    np.array([-1, 1]),
    np.array([1]),
    np.array([0]),
)


def random_program(
    target: Target, encoding: str, dtype: DType, rng: np.random.Generator
) -> Program:
    """A program whose first layer reads that dtype, every layer in that encoding."""
    refusals = []
    for _ in range(ATTEMPTS):
        graph = random_graph(encoding, dtype, rng)
        try:
            return compile_all(graph, target, encoding)
        except (Unsupported, DoesNotFit, AccumulatorOverflow) as refusal:
            refusals.append(str(refusal))
    raise AssertionError("every graph was refused: " + "; ".join(refusals[-3:]))


def compile_all(graph: Graph, target: Target, encoding: str) -> Program:
    """Compile with one encoding for all layers."""
    layers = [node.name for node in graph.nodes if isinstance(node, Linear)]
    return compile_graph(graph, target, dict.fromkeys(layers, encoding))


def takes(target: Target, encoding: str, dtype: DType) -> bool:
    """Whether there is a kernel for inputs of that dtype; asked with the simplest graph."""
    x = Tensor("x", (2,), dtype, bounds=Range(0, 1))
    how = Requantization(np.array([1]), 0, Rounding.FLOOR, 0, 0, 127)
    weights = random_weights(encoding, (2, 2), np.random.default_rng(0))
    layer = Linear("fc", x, Tensor("y", (2,), UINT8), weights, np.zeros(2, np.int32), how)
    try:
        compile_all(Graph("probe", x, (layer,), ("y",)), target, encoding)
    except Unsupported:
        return False
    return True


def random_graph(encoding: str, dtype: DType, rng: np.random.Generator) -> Graph:
    """One to three layers of weights, and the index of the largest output."""
    source = x = _random_input(dtype, rng)
    nodes: list[Linear | Argmax] = []
    for number in range(int(rng.integers(1, 4))):
        layer = _random_layer(f"fc{number}", source, encoding, rng)
        nodes.append(layer)
        source = layer.output
    best = Argmax("argmax", source, Tensor("best", (1,), UINT8))
    return Graph("net", x, (*nodes, best), (source.name, best.output.name))


def random_inputs(graph: Graph, rng: np.random.Generator) -> NDArray[np.int64]:
    """Three inputs: noise, the extremes at random, and mostly zeros."""
    bounds, shape = graph.input.range, graph.input.shape
    noise = rng.integers(bounds.low, bounds.high + 1, size=(3, *shape))
    noise[1] = rng.choice([bounds.low, bounds.high], size=shape)
    noise[2] = np.where(rng.random(shape) < 0.8, np.clip(0, bounds.low, bounds.high), noise[2])
    return noise


def _random_input(dtype: DType, rng: np.random.Generator) -> Tensor:
    low = 0 if rng.random() < 0.3 else dtype.low
    high = min(dtype.high, 100) if rng.random() < 0.3 else dtype.high
    zero_point = int(rng.integers(low, high + 1)) if rng.random() < 0.3 else 0
    shape = (int(rng.choice(INPUTS)),)
    return Tensor("x", shape, dtype, zero_point=zero_point, bounds=Range(low, high))


def _random_layer(name: str, source: Tensor, encoding: str, rng: np.random.Generator) -> Linear:
    outputs = int(rng.choice(OUTPUTS))
    how = _random_requantization(outputs, dtype := _pick(rng, *DTYPES.values()), rng)
    return Linear(
        name,
        source,
        Tensor(f"{name}_out", (outputs,), dtype, zero_point=how.zero_point),
        random_weights(encoding, (outputs, source.count), rng),
        rng.integers(-30_000, 30_000, size=outputs).astype(np.int32),
        how,
        input_shift=int(rng.integers(0, 6)) if rng.random() < 0.3 else 0,
        wrap=_pick(rng, *WRAPS),
    )


def random_weights(
    encoding: str, shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.int8]:
    """Weights that the encoding holds, mostly of the widest set that it does."""
    problem = find_encoding(encoding).problem
    drawn = [rng.choice(values, size=shape).astype(np.int8) for values in WEIGHTS]
    cases = [(bits, dtype) for bits in (16, 24, 32) for dtype in DTYPES.values()]
    held = [w for w in drawn if any(problem(w, *case) is None for case in cases)]
    assert held, f"no random weights for {encoding}: add a set that it holds"
    return held[0] if rng.random() < 0.7 else _pick(rng, *held)


def _random_requantization(channels: int, dtype: DType, rng: np.random.Generator) -> Requantization:
    """Half of them plain shifts, the others multiplications, some of them per channel."""
    largest = _pick(rng, 1, 1, 256, 65536)
    count = 1 if largest == 1 or rng.random() < 0.3 else channels
    multiplier = rng.integers(1, largest, size=count, endpoint=largest == 1).astype(np.int64)
    zero_point = int(rng.integers(dtype.low, dtype.high + 1)) if rng.random() < 0.4 else 0
    low = zero_point if rng.random() < 0.5 else dtype.low
    shift, rounding = int(rng.integers(0, 20)), _pick(rng, *Rounding)
    return Requantization(multiplier, shift, rounding, zero_point, low, dtype.high)


def _pick(rng: np.random.Generator, *choices: T) -> T:
    return choices[int(rng.integers(len(choices)))]
