"""Where the cycles of one inference go: by symbol, exclusive, and by layer, inclusive.

Layers may share code. What each of them spends there is found by stopping the same inference where
layers begin: two such profiles differ by what was executed in between.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulators.base import Profile
from harness.errors import HarnessError
from harness.record import REST
from harness.run import Run, Runner
from kernels.image import Program

_NOTHING = Profile(np.empty(0, np.uint32), np.empty(0, np.uint64), np.empty(0, np.uint64))


@dataclass(frozen=True, slots=True)
class SymbolCost:
    """Cycles spent between a label, or the beginning of a part, and the next; not by callees.

    layer: the one that spent them, "(rest)" where it was none; shared code is several layers'.
    executed: instructions.
    """

    symbol: str
    layer: str
    address: int
    cycles: int
    executed: int


@dataclass(frozen=True, eq=False, slots=True)
class ProfiledRun:
    """One profiled inference. symbols: in the order of their addresses, executed ones only.

    The symbols' cycles add up to the layers', and those to `cycles`. parts: what was executed, by
    layer, those that did something. touched: which data addresses were accessed, uint8 from
    address 0: 1 read, 2 written, 3 both.
    """

    program: Program
    instructions: Profile
    parts: Mapping[str, Profile]
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
    rest = run.cycles - sum(run.layer_cycles.values())
    layers = {**run.layer_cycles, REST: rest}
    parts = _by_place(runner.program, run.profile)
    if not _adds_up(parts, layers):  # some code is shared
        parts = _by_time(runner, x, run)
    if not _adds_up(parts, layers):
        sums = {layer: int(part.cycles.sum()) for layer, part in parts.items()}
        raise HarnessError(f"the profile adds up to {sums}, the run took {layers}")
    return ProfiledRun(
        program=runner.program,
        instructions=run.profile,
        parts=parts,
        symbols=attribute(runner.program, parts),
        layers=layers,
        cycles=run.cycles,
        stack_peak=run.stack_peak,
        touched=run.touched,
    )


def _adds_up(parts: Mapping[str, Profile], layers: Mapping[str, int]) -> bool:
    found = {layer: int(part.cycles.sum()) for layer, part in parts.items()}
    return found == {layer: cycles for layer, cycles in layers.items() if cycles}


def _by_place(program: Program, instructions: Profile) -> dict[str, Profile]:
    """By the layer whose code it is."""
    layers = np.array([layer_at(program, int(pc)) for pc in instructions.pcs])
    return {
        str(layer): Profile(
            instructions.pcs[layers == layer],
            instructions.counts[layers == layer],
            instructions.cycles[layers == layer],
        )
        for layer in dict.fromkeys(layers.tolist())
    }


def _by_time(runner: Runner, x: NDArray[np.integer], run: Run) -> dict[str, Profile]:
    """By the layer that was at work."""
    marks = runner.stop_after(x, run.cycles + 1).marks
    assert run.profile is not None
    before, owner = _NOTHING, REST
    found: dict[str, list[Profile]] = {}
    for mark in marks:
        if mark.cycle:
            until = runner.stop_after(x, mark.cycle, profile=True).profile
            assert until is not None
            found.setdefault(owner, []).append(_difference(until, before))
            before = until
        owner = runner.layer_of(mark.pc) or REST
    found.setdefault(owner, []).append(_difference(run.profile, before))
    return {layer: _joined(parts) for layer, parts in found.items()}


def _difference(later: Profile, earlier: Profile) -> Profile:
    """What was executed between two moments of the same run."""
    at = np.searchsorted(later.pcs, earlier.pcs)
    counts, cycles = later.counts.astype(np.int64), later.cycles.astype(np.int64)
    np.subtract.at(counts, at, earlier.counts.astype(np.int64))
    np.subtract.at(cycles, at, earlier.cycles.astype(np.int64))
    executed = counts > 0
    return Profile(
        later.pcs[executed],
        counts[executed].astype(np.uint64),
        cycles[executed].astype(np.uint64),
    )


def _joined(parts: Sequence[Profile]) -> Profile:
    """The sum of what was executed at several times."""
    every = np.concatenate([part.pcs for part in parts])
    pcs, at = np.unique(every, return_inverse=True)
    counts, cycles = np.zeros(len(pcs), np.uint64), np.zeros(len(pcs), np.uint64)
    np.add.at(counts, at, np.concatenate([part.counts for part in parts]))
    np.add.at(cycles, at, np.concatenate([part.cycles for part in parts]))
    return Profile(pcs, counts, cycles)


def attribute(program: Program, parts: Mapping[str, Profile]) -> tuple[SymbolCost, ...]:
    """Sum the cost of each layer's instructions to the nearest place at or below their address."""
    places = list(program.image.places.items())
    addresses = [address for address, _ in places]
    sums: dict[tuple[int, str], list[int]] = {}
    for layer, part in parts.items():
        for pc, cycles, count in zip(part.pcs, part.cycles, part.counts, strict=True):
            cost = sums.setdefault((bisect_right(addresses, int(pc)) - 1, layer), [0, 0])
            cost[0] += int(cycles)
            cost[1] += int(count)
    return tuple(
        SymbolCost(
            symbol=places[index][1],
            layer=layer,
            address=places[index][0],
            cycles=cycles,
            executed=executed,
        )
        for (index, layer), (cycles, executed) in sorted(sums.items(), key=lambda one: one[0][0])
    )


def layer_at(program: Program, address: int) -> str:
    """The layer whose code an address is of, or "(rest)"."""
    for part in program.image.parts:
        if part.address <= address < part.address + part.size:
            return part.layer or REST
    return REST
