"""A draft: a program whose every size and address is decided, before it is linked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kernels.emit import tensor_symbol
from kernels.errors import Budget
from kernels.image import Arena, Buffer, Location, Part
from kernels.ir import Graph
from kernels.passes.arena import alive_at
from kernels.passes.emission import Emission
from kernels.passes.fit import budgets
from kernels.passes.piece import Piece
from kernels.plan import Plan
from kernels.target import Target


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """What the passes made of a graph. graph: the user's; lowered: what is emitted.

    plan: its ranges are those of `lowered`, its choices those that were made, whatever the order
    of units that came of them.
    """

    graph: Graph
    lowered: Graph
    target: Target
    plan: Plan
    emission: Emission
    pieces: Sequence[Piece]
    buffers: Sequence[Buffer]
    arena: Arena

    @property
    def parts(self) -> tuple[Part, ...]:
        """All parts of the image, in order."""
        return tuple(piece.part for piece in self.pieces)

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """What it needs of each of the target's memories."""
        return budgets(self.target, self.parts, self.arena)

    @property
    def flash(self) -> int:
        """Bytes of the image."""
        return self.pieces[-1].end - self.target.code.origin

    @property
    def shared(self) -> dict[str, int]:
        """Bytes of constants and code that several layers use, by symbol, without alignment."""
        return {
            symbol: shared.text.size
            for symbol, shared in self.emission.shared.items()
            if shared.layer is None
        }

    @property
    def addresses(self) -> dict[str, int]:
        """SRAM addresses by symbol."""
        origin = self.target.arena_origin(self.arena.size)
        return {symbol: origin + offset for symbol, offset in self.arena.offsets.items()}

    @property
    def locations(self) -> dict[str, Location]:
        """Where the graph's input and outputs lie."""
        names, addresses = (self.graph.input.name, *self.graph.outputs), self.addresses
        tensors = [self.graph.tensors[name] for name in names]
        return {t.name: Location(addresses[tensor_symbol(t)], t.dtype, t.shape) for t in tensors}

    @property
    def layer_sram(self) -> dict[str, int]:
        """Bytes of SRAM in use while a layer runs, by layer."""
        return {
            node.name: alive_at(self.buffers, step) for step, node in enumerate(self.graph.nodes)
        }

    def size_of(self, layer: str) -> int:
        """Bytes of code and constants that belong to a layer."""
        return sum(part.size for part in self.parts if part.layer == layer)

    def text_of(self, layer: str) -> int:
        """The same without what alignment skips."""
        return sum(piece.text.size for piece in self.pieces if piece.part.layer == layer)
