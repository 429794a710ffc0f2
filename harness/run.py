"""Where image meets emulator: the one place that knows both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from emulators.base import CallResult, Emulator, MemoryMap, Profile, StopReason
from emulators.simavr import SimAvr
from emulators.z80_banks import Banks
from emulators.zilog import Z80
from harness.errors import HarnessError, RunFailed
from kernels.dtypes import DType
from kernels.image import Kind, Program
from kernels.reference import check_inputs
from kernels.target import Target

DEFAULT_LIMIT = 1_000_000_000


@dataclass(frozen=True, eq=False, slots=True)
class Run:
    """One inference. outputs: int64, by tensor's name; layer_cycles: by layer, in order.

    The layers' cycles and the final return's add up to `cycles`.
    """

    outputs: Mapping[str, NDArray[np.int64]]
    cycles: int
    layer_cycles: Mapping[str, int]
    stack_peak: int
    profile: Profile | None = None
    touched: NDArray[np.uint8] | None = None


def emulator_for(target: Target) -> Emulator:
    """A fresh emulator of the target's device."""
    if target.isa == "avr":
        return SimAvr(target.device)
    return Z80(m1_wait=target.m1_wait, banks=_banks(target))


def _banks(target: Target) -> Banks | None:
    if target.banks is None:
        return None
    window, register = target.banks.window, target.banks.register
    return Banks(
        target.code.origin,
        range(window.origin, window.end),
        range(register.origin, register.end),
    )


def memory_map(program: Program) -> MemoryMap:
    """What the program may do where: run its code, read its constants, use its arena."""
    spans: dict[Kind, list[range]] = {kind: [] for kind in Kind}
    for part in program.image.parts:
        spans[part.kind].append(range(part.address, part.address + part.size))
    arena = program.target.arena_origin(program.arena.size)
    return MemoryMap(
        code=(*spans[Kind.STARTUP], *spans[Kind.CODE], *spans[Kind.BANKED_CODE]),
        constants=(*spans[Kind.CONST], *spans[Kind.BANKED]),
        data=(range(arena, arena + program.arena.size),),
    )


@dataclass(frozen=True, slots=True)
class Source:
    """Where an output is read. size: in bytes; count: of its elements."""

    name: str
    address: int
    size: int
    dtype: DType
    count: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, name: str, program: Program) -> Source:
        """That of an output."""
        where = program.tensors[name]
        count = prod(where.shape)
        size = where.dtype.bytes_for(count)
        return cls(name, where.address, size, where.dtype, count, where.shape)

    def read(self, emulator: Emulator) -> bytes:
        """What lies there now."""
        return emulator.read(self.address, self.size)

    def values(self, data: bytes, runs: int) -> NDArray[np.int64]:
        """What was read after each of some runs, int64 (runs, *shape)."""
        return self.dtype.unpack_rows(data, runs, self.count).reshape(runs, *self.shape)


class Runner:
    """A program loaded into an emulator, ready for any number of inferences.

    Whatever the program does outside its own code, constants, arena and stack ends the inference
    with RunFailed.
    """

    def __init__(self, program: Program, *, limit: int = DEFAULT_LIMIT) -> None:
        """`limit`: cycles after which one inference is given up."""
        self.program = program
        self.limit = limit
        self.emulator = emulator_for(program.target)
        image = (program.image.origin, program.image.data)
        self.emulator.load([image], memory_map(program))
        self._starts = {pc: layer for layer, pc in program.layer_starts.items()}
        if program.again is not None:
            self._starts[program.again] = program.graph.nodes[0].name
        self._kept: NDArray[np.int64] | None = None
        self._marks = [*self._starts, program.end]
        self._input = program.tensors[program.graph.input.name].address
        self._no_cycles = dict.fromkeys((node.name for node in program.graph.nodes), 0)
        self.sources = [Source.of(name, program) for name in program.graph.outputs]

    def infer(self, x: NDArray[np.integer], *, profile: bool = False, touched: bool = False) -> Run:
        """Run one input, integers of the graph's input shape, within its bounds.

        profile: count cycles by instruction, too. touched: note what data is accessed.
        Raises GraphError for other inputs, RunFailed unless the routine returns within the limit.
        """
        (checked,) = check_inputs(self.program.graph, np.asarray(x)[np.newaxis])
        return self._infer(checked, profile=profile, touched=touched)

    def infer_again(self, x: NDArray[np.integer]) -> Run:
        """Run an input whose first elements, those of kept sums, are those of the last whole run.

        Raises HarnessError if they are not, or if the program keeps no sums, and what `infer` does.
        """
        (checked,) = check_inputs(self.program.graph, np.asarray(x)[np.newaxis])
        again, kept = self.program.again, checked.ravel()[: self.program.kept]
        if again is None:
            raise HarnessError(f"{self.program.graph.name} keeps no sums: give a choice `kept`")
        if self._kept is None or not np.array_equal(kept, self._kept):
            raise HarnessError(f"the first {len(kept)} inputs are not those of the last whole run")
        return self._infer(checked, entry=again)

    def infer_all(self, inputs: NDArray[np.integer]) -> Iterator[Run]:
        """Run inputs, integers (n, *input shape), as `infer` does; they are checked together."""
        for x in check_inputs(self.program.graph, np.asarray(inputs)):
            yield self._infer(x)

    def call(self, packed: bytes) -> CallResult:
        """Run one input as it lies in memory, known to be within its bounds.

        Outputs are read from `sources`. Raises RunFailed unless the routine returns.
        """
        return self._returned(self._start(packed, self.limit))

    def stop_after(
        self, x: NDArray[np.integer], cycles: int, *, profile: bool = False
    ) -> CallResult:
        """Run one input until no instruction begins any more after so many cycles.

        The result's marks are at the layers' first instructions and at the final return.
        """
        return self._start(self._packed(x), cycles, profile=profile)

    def layer_of(self, pc: int) -> str | None:
        """The layer whose first instruction is there."""
        return self._starts.get(pc)

    def layer_cycles(self, result: CallResult) -> dict[str, int]:
        """Cycles by layer, in order, of a run that returned."""
        cycles = dict(self._no_cycles)
        for now, then in pairwise(result.marks):
            cycles[self._starts[now.pc]] += then.cycle - now.cycle
        return cycles

    def predict(self, inputs: NDArray[np.integer]) -> NDArray[np.int64]:
        """The first element of the graph's last output, int64 (n,), for each of n inputs."""
        output = self.program.graph.outputs[-1]
        return np.array([r.outputs[output].flat[0] for r in self.infer_all(inputs)], np.int64)

    def _infer(
        self,
        x: NDArray[np.int64],
        *,
        entry: int | None = None,
        profile: bool = False,
        touched: bool = False,
    ) -> Run:
        result = self._returned(
            self._start(self._packed(x), self.limit, entry=entry, profile=profile, touched=touched)
        )
        self._kept = x.ravel()[: self.program.kept].copy()
        return Run(
            outputs={one.name: one.values(one.read(self.emulator), 1)[0] for one in self.sources},
            cycles=result.cycles,
            layer_cycles=self.layer_cycles(result),
            stack_peak=result.stack_peak,
            profile=result.profile,
            touched=result.touched,
        )

    def _packed(self, x: NDArray[np.integer]) -> bytes:
        return self.program.graph.input.dtype.pack(np.asarray(x, np.int64))

    def _start(
        self,
        packed: bytes,
        cycles: int,
        *,
        entry: int | None = None,
        profile: bool = False,
        touched: bool = False,
    ) -> CallResult:
        self._kept = None  # until it is known that they are
        self.emulator.write(self._input, packed)
        return self.emulator.call(
            self.program.entry if entry is None else entry,
            limit=cycles,
            stack=self.program.stack_top,
            stack_floor=self.program.stack_floor,
            marks=self._marks,
            profile=profile,
            touched=touched,
        )

    def _returned(self, result: CallResult) -> CallResult:
        """The result of a whole run; RunFailed for any other."""
        if result.reason is StopReason.RETURNED:
            return result
        name = f"{self.program.graph.name} on {self.program.target.name}"
        raise RunFailed(name, result, self.program.image.place(result.pc))
