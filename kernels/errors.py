"""Errors of the compiler. Each carries the figures that a caller needs, and says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class CompilerError(Exception):
    """A graph, an encoding or a target cannot be turned into an image."""


class GraphError(CompilerError):
    """A graph breaks a rule: `node` names the place, `problem` says what is wrong."""

    def __init__(self, node: str, problem: str) -> None:
        super().__init__(f"{node}: {problem}")
        self.node = node
        self.problem = problem


class AccumulatorOverflow(CompilerError):
    """An accumulator's bounds do not fit the widest accumulator that a kernel has.

    mend: what would help, as a sentence goes on.
    """

    def __init__(self, node: str, unit: int, bounds: tuple[int, int], bits: int, mend: str) -> None:
        low, high = bounds
        super().__init__(
            f"{node}: unit {unit} can reach [{low}, {high}], which a {bits}-bit accumulator does "
            f"not hold; {mend}"
        )
        self.node, self.unit, self.low, self.high, self.bits = node, unit, low, high, bits


class Unsupported(CompilerError):
    """No emitter or encoding handles what was asked for; the message names what would."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that one part of a program needs; layer is None for what all layers share.

    in_image: whether they are among the bytes that are flashed or loaded.
    """

    part: str
    layer: str | None
    size: int
    in_image: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """A memory of a target: the bytes that it offers, and what a program needs of it, by part."""

    memory: str
    available: int
    needs: tuple[Need, ...]

    @property
    def needed(self) -> int:
        """Bytes needed in all."""
        return sum(need.size for need in self.needs)

    @property
    def excess(self) -> int:
        """Bytes too many; zero or less where the memory suffices."""
        return self.needed - self.available

    def __str__(self) -> str:
        parts = ", ".join(f"{need.part} {need.size:,}" for need in self.needs)
        return (
            f"{self.memory} needs {self.needed:,} bytes, {self.available:,} are available "
            f"({self.excess:,} too many): {parts}"
        )


def needs_of(budgets: Iterable[Budget]) -> tuple[Need, ...]:
    """What all memories must hold, each part once: a bank's parts are in flash, too."""
    return tuple(dict.fromkeys(need for budget in budgets for need in budget.needs))


class DoesNotFit(CompilerError):
    """The program needs more of a memory than the target offers.

    budgets: of every memory of the target; at least one of them is exceeded.
    """

    def __init__(self, target: str, budgets: Sequence[Budget]) -> None:
        exceeded = [str(budget) for budget in budgets if budget.excess > 0]
        super().__init__(f"does not fit {target}: {'; '.join(exceeded)}")
        self.target, self.budgets = target, tuple(budgets)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The needs of all memories, each part once."""
        return needs_of(self.budgets)
