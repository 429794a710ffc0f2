"""Between the passes and the emitters: what an emitter is given, and how it is found.

An emitter writes one layer for one instruction set. It is a function that takes a `Job` and writes
code that is entered by falling in at the top and left by falling out at the bottom, so a program is
its layers' code, one after the other. It may not touch the stack pointer for good, and may assume
nothing of registers (but on AVR that r1 need not be zero).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from kernels.asm import Assembly
from kernels.choice import Choice
from kernels.errors import Unsupported
from kernels.forms import Form
from kernels.ir import Node, Range, Tensor
from kernels.isa import Isa
from kernels.target import Interrupts, Target


@dataclass(frozen=True, slots=True)
class Scratch:
    """SRAM that a layer needs for itself while it runs. kept: and until the next inference."""

    symbol: str
    size: int
    align: int
    kept: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Shared:
    """Constants, or code to be executed; the first byte is aligned.

    layer: whose it is, None for what several layers use.
    """

    text: Assembly
    align: int
    code: bool = False
    layer: str | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Banked:
    """Constants, or code to be executed, in a bank. first: whether at the bank's first byte."""

    text: Assembly
    code: bool = False
    first: bool = False


@dataclass(frozen=True, eq=False)
class Job:
    """One layer to be written.

    node: the layer. ranges: proven bounds of every tensor. far: whether constants may lie beyond
    the first 64 KiB of flash. code: falls in, falls out.
    subroutines: by label, behind the program's final return. consts: behind all code. loose: see
    `anywhere`.
    shared: by symbol, what several layers use, and constants whose symbol is absolute.
    banked: by symbol, constants in banks, and code that runs there.
    left: by tensor, what its writer says of the form that it left it in.
    choice: how weights are held, None for ops without.
    reads, writes: forms of the input and the output, None where they are dense. writer: the node
    that wrote the input, None for the graph's own. limits, targets: see `at_most`, `jumps`.
    """

    node: Node
    target: Target
    isa: Isa
    ranges: Mapping[str, Range]
    shared: dict[str, Shared]
    far: bool = False
    left: dict[str, object] = field(default_factory=dict)
    choice: Choice | None = None
    reads: Form | None = None
    writes: Form | None = None
    writer: Node | None = None
    code: Assembly = field(init=False)
    consts: Assembly = field(init=False)
    subroutines: dict[str, Assembly] = field(default_factory=dict)
    scratches: list[Scratch] = field(default_factory=list)
    banked: dict[str, Banked] = field(default_factory=dict)
    loose: list[Assembly] = field(default_factory=list)
    buffer: Scratch | None = field(init=False, default=None)
    limits: dict[str, int] = field(default_factory=dict)
    targets: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("code", "consts"):
            object.__setattr__(self, name, self.assembly())

    def assembly(self) -> Assembly:
        """An empty piece of assembly for the target."""
        return Assembly(self.isa, self.target.features)

    def label(self, name: str) -> str:
        """A symbol of this layer's own."""
        return f"{self.node.name}_{name}"

    def scratch(self, name: str, size: int, align: int = 1, *, kept: bool = False) -> str:
        """Ask for SRAM; the symbol of its first byte. kept: until the next inference."""
        symbol = self.label(name)
        self.scratches.append(Scratch(symbol, size, align, kept))
        return symbol

    @property
    def kept(self) -> int:
        """How many of the first inputs the layer keeps sums of; it is entered again at AGAIN."""
        return self.choice.kept if self.choice else 0

    def output_buffer(self, size: int, align: int = 1) -> str:
        """Say what SRAM the output takes in the form that is to be written; its symbol."""
        symbol = tensor_symbol(self.node.output)
        object.__setattr__(self, "buffer", Scratch(symbol, size, align))
        return symbol

    def at_most(self, name: str, count: int) -> None:
        """Promise how often instructions run each time the layer does, to bound its worst case.

        name: a label, of the instruction there; or of all together whose comments end in `#name`.
        Every loop needs a promise, of its label or of something in it. Promises add up.
        """
        self.limits[name] = self.limits.get(name, 0) + count

    def jumps(self, name: str, *targets: str) -> None:
        """Say where a jump to a computed address may go, to bound the layer's worst case.

        name: of the jump, or of a RET that is one, as in `at_most`. targets: names, too,
        of this layer's code or of shared code. Calls add up.
        """
        self.targets.setdefault(name, set()).update(targets)

    def absorb(self, part: Job, times: int) -> None:
        """Take over what a job of a part of this layer wrote: its code goes behind this one's.

        times: how often that code runs, which multiplies the part's promises.
        """
        self.code.append(part.code)
        self.consts.append(part.consts)
        self.subroutines.update(part.subroutines)
        self.scratches.extend(part.scratches)
        self.banked.update(part.banked)
        self.loose.extend(part.loose)
        for name, count in part.limits.items():
            self.at_most(name, count * times)
        for name, targets in part.targets.items():
            self.jumps(name, *targets)

    def subroutine(self, label: str) -> Assembly:
        """A new, empty subroutine that begins with its label."""
        self.subroutines[label] = self.assembly()
        self.subroutines[label].emit(f"{label}:")
        return self.subroutines[label]

    def share(
        self,
        symbol: str,
        write: Callable[[Assembly], object],
        align: int = 1,
        *,
        code: bool = False,
        own: bool = False,
    ) -> str:
        """Constants, or code, to be placed once however many layers ask for them; their symbol.

        It is absolute, so an expression may do with it what a relocation could not. Code lies
        before all layers, where short jumps and addresses reach it. own: nobody else asks, so the
        bytes are this layer's.
        """
        if symbol not in self.shared:
            layer = self.node.name if own else None
            self.shared[symbol] = Shared(self.assembly(), align, code, layer)
            write(self.shared[symbol].text)
        return symbol

    def table(self, name: str, align: int = 1) -> Assembly:
        """Constants of this layer alone, whose symbol is absolute as that of shared ones is."""
        self.shared[self.label(name)] = Shared(self.assembly(), align, layer=self.node.name)
        return self.shared[self.label(name)].text

    def anywhere(self) -> Assembly:
        """Constants that are found by their labels alone, and so may fill gaps of alignment."""
        self.loose.append(self.assembly())
        return self.loose[-1]

    def bank(self, name: str, *, code: bool = False, first: bool = False) -> Assembly:
        """Constants or code of this layer in a bank: at most as many bytes as one has.

        Their symbol is the address in the window, and `bank_of` that symbol the bank's number; so
        are the labels of code, while constants have none. first: at the first byte of a bank.
        """
        self.banked[self.label(name)] = Banked(self.assembly(), code, first)
        return self.banked[self.label(name)].text


def bank_of(symbol: str) -> str:
    """The symbol of the number of the bank that holds a symbol's constants."""
    return f"{symbol}_bank"


def tensor_symbol(tensor: Tensor) -> str:
    """The symbol of a tensor's first byte in SRAM."""
    return f"t_{tensor.name}"


def little_endian(value: int, size: int) -> list[int]:
    """The bytes of a value modulo 2**(8 * size), the lowest first."""
    return list((value % (1 << (8 * size))).to_bytes(size, "little"))


Write = Callable[[Job], None]
Key = tuple[str, type[Node], str | None]


@dataclass(frozen=True, slots=True)
class Emitter:
    """What writes an op.

    reads, writes: forms besides dense, the most wanted first. reads_packed, writes_packed: whether
    it can do with tensors of packed elements. borrows: whether it makes the stack pointer a data
    pointer and has no other loop, for targets where interrupts are served. profile: which fields of
    a choice that tell of the inputs change what it writes, `hot` or `rates`. keeps: whether it can
    keep the sums of a graph's first inputs.
    """

    write: Write
    reads: tuple[Form, ...] = ()
    writes: tuple[Form, ...] = ()
    reads_packed: bool = False
    writes_packed: bool = False
    borrows: bool = False
    profile: tuple[str, ...] = ()
    keeps: bool = False

    def refusal(self, target: Target) -> str | None:
        """Why it cannot work on a target of its instruction set; None if it can."""
        if self.borrows and target.interrupts is Interrupts.SERVED:
            return f"borrows the stack pointer, and interrupts are served on {target.name}"
        return None


_EMITTERS: dict[Key, Emitter] = {}
_LIKE: dict[tuple[str, type[object]], tuple[type[object], Emitter]] = {}


def emitter(
    isa: str,
    op: type[Node],
    encoding: str | None = None,
    *,
    reads: tuple[Form, ...] = (),
    writes: tuple[Form, ...] = (),
    reads_packed: bool = False,
    writes_packed: bool = False,
    borrows: bool = False,
    profile: tuple[str, ...] = (),
    keeps: bool = False,
) -> Callable[[Write], Write]:
    """Register the function below as what writes an op, with an encoding, for an ISA."""

    def register(function: Write) -> Write:
        packed = reads_packed, writes_packed
        found = Emitter(function, reads, writes, *packed, borrows, profile, keeps)
        _EMITTERS[isa, op, encoding] = found
        return function

    return register


def emitter_like(isa: str, op: type[Node], other: type[Node]) -> Callable[[Write], Write]:
    """Register the function below for an op and every encoding that another op has a kernel for.

    It writes the op by means of the other's kernel, with the job's choice.
    """

    def register(function: Write) -> Write:
        _LIKE[isa, op] = other, Emitter(function)
        return function

    return register


def kernels_for(isa: str, op: type[object]) -> dict[str | None, Emitter]:
    """The kernels that an ISA has for an op, by encoding; None for an op without weights."""
    _load(isa)
    own = {
        encoding: kernel for (i, o, encoding), kernel in _EMITTERS.items() if (i, o) == (isa, op)
    }
    if (isa, op) not in _LIKE:
        return own
    other, kernel = _LIKE[isa, op]
    others = kernels_for(isa, other)
    return {name: replace(kernel, borrows=others[name].borrows) for name in others} | own


def find_emitter(isa: str, node: Node, choice: Choice | None, inputs: Sequence[Tensor]) -> Emitter:
    """The emitter for a layer that reads these tensors; Unsupported says why there is none."""
    op, encoding = type(node), choice.encoding if choice else None
    known = kernels_for(isa, op)
    if encoding not in known:
        raise Unsupported(
            f"{node.name}: no {isa} kernel for {op.__name__} with encoding {encoding}; "
            f"there are kernels for: {', '.join(sorted(map(str, known))) or 'none'}"
        )
    kernel = known[encoding]
    what = f"{isa} kernel for {op.__name__}" + (f" with encoding {encoding}" if encoding else "")
    for tensor in inputs:
        if tensor.dtype.packed and not kernel.reads_packed:
            raise Unsupported(f"{node.name}: the {what} does not read {tensor.dtype} tensors")
    if choice and choice.kept and not kernel.keeps:
        raise Unsupported(f"{node.name}: the {what} keeps no sums of inputs")
    if node.output.dtype.packed and not kernel.writes_packed:
        raise Unsupported(f"{node.name}: the {what} does not write {node.output.dtype} tensors")
    return kernel


@cache
def _load(isa: str) -> None:
    package = import_module(f"kernels.{isa}")
    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
