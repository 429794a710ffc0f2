"""The living definition: what an integer graph computes, bit for bit, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.errors import GraphError
from kernels.ir import Graph

Values = dict[str, NDArray[np.int64]]


def run(graph: Graph, inputs: NDArray[np.integer]) -> Values:
    """Run a batch, integers (batch, *input shape); every tensor's values by name, int64.

    Raises GraphError for inputs outside the promised bounds, AccumulatorOverflow where an
    accumulator would exceed 32 bits.
    """
    values: Values = {graph.input.name: check_inputs(graph, inputs)}
    for node in graph.nodes:
        result = node.reference(*(values[name] for name in node.inputs))
        values[node.output.name] = result.reshape(len(result), *node.output.shape)
    return values


def check_inputs(graph: Graph, inputs: NDArray[np.integer]) -> NDArray[np.int64]:
    """The batch as int64, after a check of its shape, dtype and the input's bounds."""
    tensor = graph.input
    if inputs.dtype.kind not in "iu":
        raise GraphError(tensor.name, f"inputs are {inputs.dtype}; quantize them to {tensor.dtype}")
    if inputs.ndim != 1 + len(tensor.shape) or inputs.shape[1:] != tensor.shape:
        raise GraphError(
            tensor.name, f"inputs have shape {inputs.shape}, expected (batch, {tensor.shape})"
        )
    x = inputs.astype(np.int64)
    if violation := tensor.range.violation(x):
        raise GraphError(tensor.name, violation)
    return x
