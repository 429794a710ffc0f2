"""Errors of the compiler. Each carries the figures that a caller needs, and says what to do."""

from __future__ import annotations

from collections.abc import Sequence
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
    """An accumulator's bounds do not fit the widest accumulator that a kernel has."""

    def __init__(self, node: str, unit: int, low: int, high: int, bits: int) -> None:
        super().__init__(
            f"{node}: unit {unit} can reach [{low}, {high}], which a {bits}-bit accumulator does "
            "not hold; bound the input more tightly, scale the weights down, or mark the layer wrap"
        )
        self.node, self.unit, self.low, self.high, self.bits = node, unit, low, high, bits


class Unsupported(CompilerError):
    """No emitter or encoding handles what was asked for; the message names what would."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that one part of a program needs; layer is None for what all layers share."""

    part: str
    layer: str | None
    size: int


class DoesNotFit(CompilerError):
    """The program needs more of a memory than the target offers. `needs` lists it by part."""

    def __init__(
        self, target: str, memory: str, needed: int, available: int, needs: Sequence[Need]
    ) -> None:
        parts = ", ".join(f"{need.part} {need.size:,}" for need in needs)
        super().__init__(
            f"does not fit {target}: {memory} needs {needed:,} bytes, {available:,} are available "
            f"({needed - available:,} too many): {parts}"
        )
        self.target, self.memory = target, memory
        self.needed, self.available, self.needs = needed, available, tuple(needs)
