"""Where the cycles of one inference go: by symbol, exclusive, and by layer, inclusive."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulators.base import Profile
from harness.errors import HarnessError
from harness.record import REST
from harness.run import Runner
from kernels.image import Program


@dataclass(frozen=True, slots=True)
class SymbolCost:
    """Cycles spent between a label, or the beginning of a part, and the next; not by callees.

    layer: the one whose code it is, "(rest)" where it is no layer's. executed: instructions.
    """

    symbol: str
    layer: str
    address: int
    cycles: int
    executed: int


@dataclass(frozen=True, eq=False, slots=True)
class ProfiledRun:
    """One profiled inference. symbols: in the order of their addresses, executed ones only.

    Both the symbols' and the layers' cycles add up to `cycles`. layers: with what they call.
    touched: which data addresses were accessed, uint8 from address 0: 1 read, 2 written, 3 both.
    """

    program: Program
    instructions: Profile
    symbols: tuple[SymbolCost, ...]
    layers: dict[str, int]
    cycles: int
    stack_peak: int
    touched: NDArray[np.uint8]

    @property
    def arena_touched(self) -> int:
        """Bytes of the arena that were read or written."""
        start = self.program.target.arena_origin(self.program.arena.size)
        return int(np.count_nonzero(self.touched[start : start + self.program.arena.size]))


def profile(runner: Runner, x: NDArray[np.integer]) -> ProfiledRun:
    """Run one input and say where its cycles went.

    Raises RunFailed, and HarnessError should the parts not add up to the whole.
    """
    run = runner.infer(x, profile=True, touched=True)
    assert run.profile is not None
    assert run.touched is not None
    symbols = attribute(runner.program, run.profile)
    rest = run.cycles - sum(run.layer_cycles.values())
    result = ProfiledRun(
        program=runner.program,
        instructions=run.profile,
        symbols=symbols,
        layers={**run.layer_cycles, REST: rest},
        cycles=run.cycles,
        stack_peak=run.stack_peak,
        touched=run.touched,
    )
    total = sum(cost.cycles for cost in symbols)
    if total != run.cycles:
        raise HarnessError(f"the profile adds up to {total:,} cycles, the run took {run.cycles:,}")
    return result


def attribute(program: Program, instructions: Profile) -> tuple[SymbolCost, ...]:
    """Sum the cost of each instruction to the nearest place at or below its address."""
    places = list(program.image.places.items())
    addresses = [address for address, _ in places]
    sums: dict[int, list[int]] = {}
    rows = zip(instructions.pcs, instructions.cycles, instructions.counts, strict=True)
    for pc, cycles, count in rows:
        cost = sums.setdefault(bisect_right(addresses, int(pc)) - 1, [0, 0])
        cost[0] += int(cycles)
        cost[1] += int(count)
    return tuple(
        SymbolCost(
            symbol=places[index][1],
            layer=layer_at(program, places[index][0]),
            address=places[index][0],
            cycles=cycles,
            executed=executed,
        )
        for index, (cycles, executed) in sorted(sums.items())
    )


def layer_at(program: Program, address: int) -> str:
    """The layer whose code an address is of, or "(rest)"."""
    for part in program.image.parts:
        if part.address <= address < part.address + part.size:
            return part.layer or REST
    return REST
