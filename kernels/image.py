"""A linked program: bytes, symbols, and what each part of it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kernels.choice import AGAIN, Choice
from kernels.dtypes import DType
from kernels.ir import Graph
from kernels.target import Target


class Kind(StrEnum):
    """What a part of an image is."""

    STARTUP = "startup"
    CODE = "code"
    CONST = "const"
    BANKED = "banked"  # constants that are read in the window of banks
    BANKED_CODE = "banked code"  # what is executed there
    UNUSED = "unused"  # the rest of a bank


@dataclass(frozen=True, slots=True)
class Part:
    """A contiguous piece of the image; layer is None for what all layers share."""

    name: str
    layer: str | None
    kind: Kind
    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes of SRAM: a tensor, or a layer's scratch. Lives from step `first` to step `last`.

    A step is a layer's place in the graph; the graph's input is written before step 0. aliases:
    other tensors that lie in the same bytes.
    """

    symbol: str
    size: int
    align: int
    first: int
    last: int
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arena:
    """Where each buffer lies, as offsets into the arena, and the arena's high-water mark."""

    offsets: Mapping[str, int]
    size: int


@dataclass(frozen=True, eq=False, slots=True)
class Image:
    """The bytes that go to `origin` of the target's code memory.

    symbols: addresses in code memory, by label.
    """

    origin: int
    data: bytes
    symbols: Mapping[str, int]
    parts: tuple[Part, ...]

    def size_of(self, layer: str | None) -> int:
        """Bytes of code and constants that belong to a layer."""
        return sum(part.size for part in self.parts if part.layer == layer)

    def place(self, address: int) -> str:
        """An address as the nearest label or part below it and an offset, `fc1_mac + 4`."""
        near = max((at for at in self.places if at <= address), default=None)
        return f"{address:#06x}" if near is None else f"{self.places[near]} + {address - near}"

    @property
    def places(self) -> dict[int, str]:
        """Names by address, ascending: parts, and within them labels; of a part's own, the part."""
        names = {address: name for name, address in self.symbols.items()}
        names |= {part.address: part.name for part in self.parts}
        return dict(sorted(names.items()))


@dataclass(frozen=True, slots=True)
class Location:
    """Where a tensor lies in data memory."""

    address: int
    dtype: DType
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """A compiled graph: what a harness needs to run it, and what it takes.

    graph: as the user gave it. lowered: as it was emitted; same layers' names, input and outputs.
    choices: how weights are held, by layer, for those that have any. layer_sram: bytes of SRAM in
    use while a layer runs. tensors: the graph's input and outputs. forms: of tensors between layers
    that are not dense, by name.
    """

    graph: Graph
    lowered: Graph
    target: Target
    choices: Mapping[str, Choice]
    image: Image
    arena: Arena
    layer_sram: Mapping[str, int]
    tensors: Mapping[str, Location]
    forms: Mapping[str, str]
    source: str

    @property
    def encodings(self) -> dict[str, str]:
        """Names of the encodings, by layer."""
        return {layer: choice.encoding for layer, choice in self.choices.items()}

    @property
    def flash(self) -> int:
        """Bytes of the whole image: text + rodata + data."""
        return len(self.image.data)

    @property
    def entry(self) -> int:
        """Code address of the routine."""
        return self.image.symbols["infer"]

    @property
    def layer_starts(self) -> dict[str, int]:
        """Code address of each layer's first instruction, in order; of those that have code."""
        inline = {p.layer: p.address for p in self.image.parts if p.name == p.layer}
        return {n.name: inline[n.name] for n in self.graph.nodes if n.name in inline}

    @property
    def kept(self) -> int:
        """How many of the graph's first inputs sums are kept of."""
        return max((choice.kept for choice in self.choices.values()), default=0)

    @property
    def again(self) -> int | None:
        """Code address of the routine for an input whose kept part is that of the last whole run.

        None if no sums are kept.
        """
        layer = next((name for name, choice in self.choices.items() if choice.kept), None)
        return self.image.symbols[f"{layer}_{AGAIN}"] if layer else None

    @property
    def end(self) -> int:
        """Code address of the final return."""
        return self.image.symbols["infer_end"]

    @property
    def stack_top(self) -> int:
        """The topmost byte that the stack may use."""
        return self.target.data.end - 1

    @property
    def stack_floor(self) -> int:
        """The lowest byte that the stack may use."""
        return self.target.arena_origin(self.arena.size) + self.arena.size
