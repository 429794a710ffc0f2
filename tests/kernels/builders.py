"""Small graphs for the tests of the compiler, and one way to compile, run and compare them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.run import Run, Runner
from harness.worst_case import program_bound
from kernels.compile import compile_graph, link_draft
from kernels.draft import Draft
from kernels.dtypes import BIT, DTYPES, INT16, UINT8, DType
from kernels.emit import kernels_for
from kernels.encodings import find_encoding
from kernels.image import Program
from kernels.ir import Graph, Node, Range, Tensor
from kernels.ops.argmax import Argmax
from kernels.ops.linear import Linear
from kernels.quant import Requantization, Rounding
from kernels.reference import run
from kernels.target import find_target

DENSE8, INDEX_LISTS = "dense8", "index-lists"
TRITS, STRAIGHT_LINE, NIBBLE_LISTS = "trits", "straight-line", "nibble-lists"
PAGED_TRITS, TWIN_TRITS = "paged-trits", "twin-trits"
TARGETS = ("uno", "mega", "cpm")
TINY = (  # the first that an encoding holds
    [[1, -2, 2], [0, 1, -1]],
    [[1, -2, 0], [0, 1, -1]],
    [[1, -1, 0], [0, 1, -1]],
    [[1, -1, 1], [-1, 1, 1]],
)


def weights_of(encoding: str) -> NDArray[np.int8]:
    """All weights that an encoding holds any matrix of."""
    problem = find_encoding(encoding).problem
    values = np.arange(-128, 128, dtype=np.int8)
    full = [np.full((9, 2), value) for value in values]
    held = [any(problem(w, 16, dtype) is None for dtype in DTYPES.values()) for w in full]
    return values[held]


def reads(encoding: str) -> list[DType]:
    """The input types that an encoding serves."""
    weights, problem = weights_of(encoding)[:1, np.newaxis], find_encoding(encoding).problem
    return [dtype for dtype in DTYPES.values() if problem(weights, 16, dtype) is None]


def widest_accumulator(encoding: str) -> int:
    """The most bits that an encoding serves."""
    source, problem = reads(encoding)[0], find_encoding(encoding).problem
    weights = weights_of(encoding)[:1, np.newaxis]
    return max(bits for bits in (16, 24, 32) if problem(weights, bits, source) is None)


def writes(target: str, encoding: str) -> list[DType]:
    """The output types that a target's kernel for an encoding has."""
    kernel = kernels_for(find_target(target).isa, Linear)[encoding]
    return [dtype for dtype in DTYPES.values() if kernel.writes_packed or not dtype.packed]


def with_kernels(*targets: str) -> list[tuple[str, str]]:
    """Each target with each encoding that it has a kernel for."""
    return [
        (target, encoding)
        for target in targets
        for encoding, kernel in kernels_for(find_target(target).isa, Linear).items()
        if encoding is not None
        if kernel.refusal(find_target(target)) is None
    ]


def requantization(
    multiplier: int | Sequence[int] = 1,
    shift: int = 0,
    *,
    rounding: Rounding = Rounding.FLOOR,
    zero_point: int = 0,
    low: int = INT16.low,
    high: int = INT16.high,
) -> Requantization:
    multipliers = np.atleast_1d(np.array(multiplier, np.int64))
    return Requantization(multipliers, shift, rounding, zero_point, low, high)


def linear(
    name: str,
    source: Tensor,
    weights: ArrayLike,
    bias: ArrayLike = 0,
    how: Requantization | None = None,
    *,
    dtype: DType = INT16,
    input_shift: int = 0,
    wrap: int | None = None,
) -> Linear:
    """A layer whose output is called after it; a single bias serves all units."""
    matrix = np.array(weights, np.int8)
    how = how or requantization(low=dtype.low, high=dtype.high)
    units = len(matrix)
    output = Tensor(f"{name}_out", (units,), dtype, zero_point=how.zero_point)
    biases = np.broadcast_to(np.array(bias, np.int32), (units,))
    return Linear(name, source, output, matrix, biases, how, input_shift=input_shift, wrap=wrap)


def argmax(source: Tensor) -> Argmax:
    return Argmax("best", source, Tensor("winner", (1,), UINT8))


def graph_of(*nodes: Node, source: Tensor, outputs: Sequence[str] = ()) -> Graph:
    """A graph of these nodes; without `outputs`, the last one's tensor is the result."""
    return Graph("net", source, nodes, tuple(outputs) or (nodes[-1].output.name,))


def single(
    weights: ArrayLike,
    bias: ArrayLike = 0,
    how: Requantization | None = None,
    *,
    source: DType = UINT8,
    bounds: Range | None = None,
    input_zero_point: int = 0,
    dtype: DType = INT16,
    input_shift: int = 0,
    wrap: int | None = None,
) -> Graph:
    """A graph of one Linear layer, `fc`."""
    inputs = np.shape(weights)[1]
    x = Tensor("x", (inputs,), source, zero_point=input_zero_point, bounds=bounds)
    layer = linear("fc", x, weights, bias, how, dtype=dtype, input_shift=input_shift, wrap=wrap)
    return graph_of(layer, source=x)


def only_layer(graph: Graph) -> Linear:
    (layer,) = graph.nodes
    assert isinstance(layer, Linear)
    return layer


def tiny_graph(encoding: str = INDEX_LISTS) -> Graph:
    """Three inputs, two units with a channel's multiplier each, ReLU, and the argmax.

    Weights and input are such as the encoding has.
    """
    source = UINT8 if UINT8 in reads(encoding) else BIT
    held = set(weights_of(encoding).tolist())
    weights = next(matrix for matrix in TINY if held.issuperset(np.ravel(matrix).tolist()))
    x = Tensor("x", (3,), source)
    how = requantization(
        [3, 200], 9, rounding=Rounding.HALF_UP, zero_point=10, low=10, high=UINT8.high
    )
    fc = linear("fc", x, weights, [100, -100], how, dtype=UINT8)
    return graph_of(fc, argmax(fc.output), source=x, outputs=("fc_out", "winner"))


def encode_all(graph: Graph, encoding: str) -> dict[str, str]:
    """The same encoding for every layer with weights."""
    return {node.name: encoding for node in graph.nodes if isinstance(node, Linear)}


def compile_with(graph: Graph, target: str, encoding: str) -> Program:
    return compile_graph(graph, find_target(target), encode_all(graph, encoding))


@dataclass(frozen=True)
class Difference:
    """An output that the emulator and the reference disagree on."""

    sample: int
    tensor: str
    got: list[int]
    want: list[int]


def differences(program: Program, inputs: NDArray[np.int64]) -> list[Difference]:
    """Run a batch; what differs from the reference. Cycles must add up for every input."""
    runner = Runner(program)
    want = run(program.graph, inputs)
    found = []
    for sample, x in enumerate(inputs):
        result = runner.infer(x)
        assert_cycles_add_up(program, result)
        found += [
            Difference(sample, name, got.ravel().tolist(), want[name][sample].ravel().tolist())
            for name, got in result.outputs.items()
            if not np.array_equal(got, want[name][sample])
        ]
    return found


def assert_cycles_add_up(program: Program, result: Run) -> None:
    z80 = program.target.isa == "z80"
    final_return = (
        10 + (program.target.m1_wait > 0) if z80 else {"mega": 5}.get(program.target.name, 4)
    )
    assert list(result.layer_cycles) == [node.name for node in program.graph.nodes]
    assert sum(result.layer_cycles.values()) + final_return == result.cycles


def assert_exact_and_bounded(draft: Draft, inputs: NDArray[np.int64]) -> None:
    """Run a batch: equal to the reference, and no slower than the proven bound."""
    program, bound = link_draft(draft), program_bound(draft)
    assert differences(program, inputs) == []
    assert bound is not None
    assert bound >= max(run.cycles for run in Runner(program).infer_all(inputs))
