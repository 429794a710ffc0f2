"""The integer graph: the contract between models and kernels.

A graph is a tuple of nodes in order of execution, each with the tensor it writes. Records are
frozen and their arrays read-only. What a node computes stands with its op, in `kernels.ops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.bounds import Bounds, Range
from kernels.dtypes import DType
from kernels.errors import GraphError

__all__ = [
    "Bounds",
    "Graph",
    "Node",
    "Range",
    "Tensor",
    "frozen_array",
    "verify",
]

ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An activation in the device's SRAM: real value = scale * (stored - zero_point).

    bounds: what values can occur, where that is less than the dtype allows: of all elements alike,
    or `Bounds` of each and of their sum. On a graph's input it is a promise, checked wherever
    inputs enter; proofs of accumulator widths rest on it.
    sparse: elements are often 0, so kernels may spend cycles on each to skip it; changes no result.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    scale: float = 1.0
    zero_point: int = 0
    bounds: Range | None = None
    sparse: bool = False

    @property
    def count(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self.dtype.bytes_for(self.count)

    @property
    def range(self) -> Range:
        """The values that may occur."""
        return self.bounds or Range(self.dtype.low, self.dtype.high)


class Sharing(StrEnum):
    """Whether an op's output may lie where an input lies.

    IN_PLACE: each element is written after the input's element at its place was read for the last
    time, so an input of the same size that nothing reads later may be overwritten. VIEW: the output
    is the input, under another name and shape; no code is written.
    """

    NONE = "none"
    IN_PLACE = "in place"
    VIEW = "view"


class Node(Protocol):
    """What every op's record offers."""

    @property
    def name(self) -> str:
        """The layer's name, unique in the graph; a valid assembler symbol."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors read."""

    @property
    def output(self) -> Tensor:
        """The tensor written."""

    @property
    def sharing(self) -> Sharing:
        """Whether the output may lie where an input lies."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense definition."""

    @property
    def nnz(self) -> int:
        """Multiply-accumulates whose weight is not zero."""

    def problems(self, inputs: Sequence[Tensor]) -> list[str]:
        """What is wrong with the node, given the tensors it reads; empty when nothing is."""

    def reference(self, *inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """The exact result; inputs and result are int64 (batch, *shape)."""

    def output_range(self, *inputs: Range) -> Range:
        """Bounds of the result, given bounds of the inputs."""


@dataclass(frozen=True, eq=False, slots=True)
class Graph:
    """A network: one input, nodes in order of execution, and the tensors that are its results."""

    name: str
    input: Tensor
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name, the input first."""
        return {t.name: t for t in (self.input, *(node.output for node in self.nodes))}

    def inputs_of(self, node: Node) -> tuple[Tensor, ...]:
        """The tensors that a node reads."""
        tensors = self.tensors
        return tuple(tensors[name] for name in node.inputs)


def frozen_array(values: NDArray[Any] | Sequence[int], dtype: type[ScalarT]) -> NDArray[ScalarT]:
    """A read-only copy of that dtype; ValueError where a value does not survive the cast."""
    source = np.asarray(values)
    if source.dtype.kind == "f" and not np.all(np.isfinite(source)):
        raise ValueError("an array holds NaN or infinity")
    with np.errstate(invalid="ignore"):
        array = source.astype(dtype)
    if not np.array_equal(array, source):
        raise ValueError(f"values do not fit {np.dtype(dtype)}")
    array.setflags(write=False)
    return array


def verify(graph: Graph) -> None:
    """Raise GraphError at the first rule that the graph breaks."""
    known = {graph.input.name: graph.input}
    _verify_tensor(graph.input)
    for node in graph.nodes:
        if not _is_symbol(node.name):
            raise GraphError(node.name, "a layer's name must be a valid identifier, in ASCII")
        missing = [name for name in node.inputs if name not in known]
        if missing:
            raise GraphError(node.name, f"reads {missing[0]!r}, which no earlier node writes")
        if node.output.name in known:
            raise GraphError(node.name, f"writes {node.output.name!r}, which exists already")
        _verify_tensor(node.output)
        for problem in node.problems([known[name] for name in node.inputs]):
            raise GraphError(node.name, problem)
        known[node.output.name] = node.output
    _verify_names(graph, known)


def _is_symbol(name: str) -> bool:
    return name.isidentifier() and name.isascii()


def _verify_names(graph: Graph, known: dict[str, Tensor]) -> None:
    names = [node.name for node in graph.nodes]
    if len(set(names)) != len(names):
        raise GraphError(graph.name, "two layers have the same name")
    if not graph.nodes or not graph.outputs:
        raise GraphError(graph.name, "a graph needs at least one node and one output")
    for name in graph.outputs:
        if name not in known or name == graph.input.name:
            raise GraphError(graph.name, f"output {name!r} is no node's tensor")


def _verify_tensor(tensor: Tensor) -> None:
    if not _is_symbol(tensor.name):
        raise GraphError(tensor.name, "a tensor's name must be a valid identifier, in ASCII")
    if not tensor.shape or any(size < 1 for size in tensor.shape):
        raise GraphError(tensor.name, f"shape {tensor.shape} is empty")
    if not np.isfinite(tensor.scale) or tensor.scale <= 0:
        raise GraphError(tensor.name, f"scale {tensor.scale} is not a positive number")
    full = Range(tensor.dtype.low, tensor.dtype.high)
    if problem := tensor.range.problem(tensor.count):
        raise GraphError(tensor.name, problem)
    if tensor.range not in full:
        bounds = f"[{tensor.range.low}, {tensor.range.high}]"
        raise GraphError(tensor.name, f"bounds {bounds} are outside {tensor.dtype}")
    if not full.low <= tensor.zero_point <= full.high:
        raise GraphError(tensor.name, f"zero point {tensor.zero_point} is outside {tensor.dtype}")
