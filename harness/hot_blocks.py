"""The instructions of a profiled run, block by block, the costliest block first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.listing import ListedLine, list_program
from harness.profile import ProfiledRun


@dataclass(frozen=True, slots=True)
class InstructionCost:
    """What one instruction cost in a run. cycles: of all its `count` executions together."""

    line: ListedLine
    address: int
    layer: str
    symbol: str
    cycles: int
    count: int


@dataclass(frozen=True, slots=True)
class Block:
    """Instructions that follow each other and were executed equally often, below one label."""

    instructions: tuple[InstructionCost, ...]

    @property
    def cycles(self) -> int:
        """Cycles of all of it."""
        return sum(one.cycles for one in self.instructions)

    @property
    def count(self) -> int:
        """How often it was executed."""
        return self.instructions[0].count


def instruction_costs(result: ProfiledRun) -> list[InstructionCost]:
    """Every executed instruction, by address, with the line of the source that it is.

    One that several layers share stands there for each of them.
    """
    lines = {line.address: line for line in list_program(result.program)}
    places = list(result.program.image.places.items())[::-1]
    costs = []
    for layer, part in result.parts.items():
        for pc, cycles, count in zip(part.pcs, part.cycles, part.counts, strict=True):
            at = int(pc)
            symbol = next(name for address, name in places if address <= at)
            costs.append(InstructionCost(lines[at], at, layer, symbol, int(cycles), int(count)))
    return sorted(costs, key=lambda cost: cost.address)


def hot_blocks(costs: Sequence[InstructionCost]) -> list[Block]:
    """The blocks, the costliest first."""
    blocks: list[list[InstructionCost]] = []
    for cost in sorted(costs, key=lambda cost: cost.layer):
        last = blocks[-1][-1] if blocks else None
        if last and last.address + len(last.line.data) == cost.address and _alike(last, cost):
            blocks[-1].append(cost)
        else:
            blocks.append([cost])
    return sorted((Block(tuple(block)) for block in blocks), key=lambda block: -block.cycles)


def _alike(one: InstructionCost, other: InstructionCost) -> bool:
    return (one.layer, one.symbol, one.count) == (other.layer, other.symbol, other.count)


def render_blocks(blocks: Sequence[Block], total: int) -> str:
    """Blocks as an annotated listing; shares are of `total` cycles."""
    parts = []
    for block in blocks:
        first = block.instructions[0]
        head = (
            f"{first.symbol} at {first.address:#06x}: {block.cycles:,} cycles, "
            f"{block.cycles / total:.1%}, {block.count:,} times\n"
            f"{'cycles':>11} {'times':>9} {'each':>6}  address\n"
        )
        parts.append(head + "".join(f"{_row(one)}\n" for one in block.instructions))
    return "\n".join(parts)


def _row(one: InstructionCost) -> str:
    each = f"{one.cycles / one.count:.2f}".removesuffix(".00")
    return (
        f"{one.cycles:>11,} {one.count:>9,} {each:>6}  {one.address:#06x}  {one.line.text.strip()}"
    )
