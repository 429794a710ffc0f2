"""Many inputs through a program in the emulator, in shards that may run anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.executor import Executor
from harness.run import DEFAULT_LIMIT, Runner
from kernels.image import Program
from kernels.reference import check_inputs

SMALLEST_SHARD = 64
SHARDS = 16  # of each worker: enough to share the work evenly; each one loads the program anew


@dataclass(frozen=True, eq=False, slots=True)
class Shard:
    """Inputs, integers (n, *input shape), that one worker runs."""

    program: Program
    inputs: NDArray[Any]
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, eq=False, slots=True)
class Emulated:
    """What n inferences gave and took, all int64.

    outputs: (n, *shape) by tensor; cycles: (n,); layer_cycles: (n,) by layer; stack_peak: bytes.
    """

    outputs: Mapping[str, NDArray[np.int64]]
    cycles: NDArray[np.int64]
    layer_cycles: Mapping[str, NDArray[np.int64]]
    stack_peak: int


def run_shard(shard: Shard) -> Emulated:
    """Run a shard's inputs, one after the other; RunFailed where one does not return.

    They are packed before the first and unpacked after the last.
    """
    runner, graph = Runner(shard.program, limit=shard.limit), shard.program.graph
    inputs = check_inputs(graph, shard.inputs)
    calls, raw = [], {source.name: bytearray() for source in runner.sources}
    for packed in graph.input.dtype.pack_rows(inputs.reshape(len(inputs), -1)):
        calls.append(runner.call(packed))
        for source in runner.sources:
            raw[source.name] += source.read(runner.emulator)
    layers = [runner.layer_cycles(call) for call in calls]
    return Emulated(
        {one.name: one.values(bytes(raw[one.name]), len(calls)) for one in runner.sources},
        np.array([call.cycles for call in calls], np.int64),
        {node.name: np.array([one[node.name] for one in layers], np.int64) for node in graph.nodes},
        max(call.stack_peak for call in calls),
    )


def emulate(
    program: Program,
    inputs: NDArray[Any],
    executor: Executor,
    *,
    limit: int = DEFAULT_LIMIT,
    progress: Callable[[int], None] | None = None,
) -> Emulated:
    """Run all inputs, integers (n, *input shape), in shards; results are in the inputs' order.

    progress: told how many inputs have been run.
    """
    size = max(SMALLEST_SHARD, -(-len(inputs) // (SHARDS * executor.workers)))
    starts = range(0, len(inputs), size)
    shards = [Shard(program, inputs[start : start + size], limit) for start in starts]
    parts: dict[int, Emulated] = {}
    for number, part in executor.map(run_shard, shards):
        parts[number] = part
        if progress:
            progress(sum(len(one.cycles) for one in parts.values()))
    return joined([parts[number] for number in range(len(shards))])


def joined(parts: list[Emulated]) -> Emulated:
    """Shards one behind the other."""
    first = parts[0]
    return Emulated(
        {n: np.concatenate([part.outputs[n] for part in parts]) for n in first.outputs},
        np.concatenate([part.cycles for part in parts]),
        {n: np.concatenate([part.layer_cycles[n] for part in parts]) for n in first.layer_cycles},
        max(part.stack_peak for part in parts),
    )
