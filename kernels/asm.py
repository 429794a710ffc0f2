"""The checked assembly writer: GNU-as text in, the same text out, every line proven legal.

Emitters write assembly as text. Each line is parsed and its instruction looked up in the device's
instruction table, so an illegal operand fails at the Python line that wrote it, and bytes, cycles
and the registers touched are known without assembling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from kernels.decode import decode, split_operands
from kernels.expression import LABEL, IllegalError
from kernels.isa import Form, Instruction, Isa, Names, Numbers, Operand

_LINE = re.compile(rf"\s*((?:{LABEL}\s*:\s*)*)([^;]*?)\s*(?:;\s*(.*?)\s*)?")


class AsmError(ValueError):
    """A line that the device would not accept: which line of the block, why, and what is legal."""

    def __init__(self, line: str, number: int, reason: str, legal: tuple[str, ...] = ()) -> None:
        self.line, self.number, self.reason, self.legal = line, number, reason, legal
        hints = "".join(f"\n    legal: {form}" for form in legal)
        super().__init__(f"line {number}: {line}\n    {reason}{hints}")


@dataclass(frozen=True, slots=True)
class Data:
    """A legal directive: `.byte`, `.word`, `.2byte`, `.space` or `.balign`."""

    directive: str
    operands: tuple[str, ...]
    text: str

    def size_at(self, offset: int) -> int:
        """Bytes that it takes at an offset."""
        match self.directive:
            case ".byte":
                return len(self.operands)
            case ".space":
                return int(self.operands[0], 0)
            case ".balign":
                return -offset % int(self.operands[0], 0)
        return 2 * len(self.operands)


_SPACE = Numbers("0..65535", range(65536), re.compile(r"(?P<number>0x[0-9a-fA-F]+|[1-9]\d*|0)"))
_ALIGN = Names("a power of two up to 256", {str(1 << n): () for n in range(9)})


def _numbers(isa: Isa) -> dict[str, Numbers]:
    """What directives take whose operands are as many numbers as wanted."""
    return {".byte": isa.byte, ".word": isa.word, ".2byte": isa.word}


def _data(isa: Isa, directive: str, rest: str) -> Data:
    operands = split_operands(rest)
    kinds: dict[str, Operand] = {**_numbers(isa), ".space": _SPACE, ".balign": _ALIGN}
    if directive not in kinds:
        raise IllegalError(f"unknown directive {directive}", tuple(kinds))
    kind = kinds[directive]
    if not operands or (kind in (_SPACE, _ALIGN) and len(operands) > 1):
        raise IllegalError(f"{directive} does not take {len(operands)} operands")
    for operand in operands:
        kind.check(operand, isa)
    return Data(directive, operands, _row(directive, operands))


def _row(directive: str, operands: Sequence[str]) -> str:
    return f"{directive:<7} {', '.join(operands)}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the source; a comment alone on a `banner` line stands at the left margin."""

    labels: tuple[str, ...] = ()
    code: Instruction | Data | None = None
    comment: str | None = None
    banner: bool = False

    @property
    def instruction(self) -> Instruction | None:
        """The instruction, if the line holds one."""
        return self.code if isinstance(self.code, Instruction) else None

    def size_at(self, offset: int) -> int:
        """Bytes that the line takes at an offset, on which `.balign` depends."""
        if isinstance(self.code, Data):
            return self.code.size_at(offset)
        return self.code.form.size if self.code else 0

    def rows(self) -> list[str]:
        """Return the line as printed: each label on a row of its own, comments aligned."""
        rows = [f"{label}:" for label in self.labels]
        if self.code or not rows:
            rows.append(f"        {self.code.text}" if self.code else "")
        if self.comment is not None:
            left = f"{rows[-1]:<31} " if rows[-1] else "" if self.banner else " " * 8
            rows[-1] = f"{left}; {self.comment}".rstrip()
        return rows


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines, such as one `emit` wrote, and what the table knows of it.

    Offsets count from the block's start, which is taken to be aligned for any `.balign` in it.
    """

    lines: tuple[Line, ...]

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        """The instructions in order."""
        return tuple(line.instruction for line in self.lines if line.instruction)

    @property
    def size(self) -> int:
        """Bytes, data included."""
        return sum(self._sizes())

    @property
    def cycles(self) -> int:
        """Cycles from the first line to the last if no branch is taken and nothing is skipped."""
        return sum(instruction.form.cycles for instruction in self.instructions)

    @property
    def reads(self) -> frozenset[str]:
        """Registers and flags that any instruction reads."""
        return frozenset().union(*(instruction.reads for instruction in self.instructions))

    @property
    def writes(self) -> frozenset[str]:
        """Registers and flags that any instruction writes: what the block clobbers."""
        return frozenset().union(*(instruction.writes for instruction in self.instructions))

    def text(self) -> str:
        """Return the GNU-as source, aligned."""
        return "".join(f"{row}\n" for line in self.lines for row in line.rows())

    def listing(self) -> str:
        """Return the source with offset, bytes and cycles (`not taken/taken`) in the margin."""
        rows = []
        offset = 0
        for line, size, timing in zip(self.lines, self._sizes(), self._timings(), strict=True):
            *above, last = line.rows()
            margin = f"{offset:04x} {size:>5} {timing:>5}" if line.code else ""
            rows += [f"{'':<18}{row}" for row in above] + [f"{margin:<18}{last}".rstrip()]
            offset += size
        return "".join(f"{row}\n" for row in rows)

    def _sizes(self) -> list[int]:
        sizes = []
        offset = 0
        for line in self.lines:
            sizes.append(line.size_at(offset))
            offset += sizes[-1]
        return sizes

    def _timings(self) -> list[str]:
        """Return each line's cycles; those of a skip depend on the instruction it skips."""
        timings = []
        below: Instruction | None = None
        for line in reversed(self.lines):
            instruction = line.instruction
            timings.append(_timing(instruction.form, below) if instruction else "")
            below = instruction or below
        return timings[::-1]


def _timing(form: Form, below: Instruction | None) -> str:
    if form.taken_long is None or below is None:
        return form.timing
    return f"{form.cycles}/{form.taken if below.form.size == 2 else form.taken_long}"


def _indent(row: str) -> int:
    return len(row) - len(row.lstrip())


class Assembly:
    """Collects checked assembly for one device: an instruction set and the device's features."""

    def __init__(self, isa: Isa, features: Iterable[str] = ()) -> None:
        self.isa = isa
        self.features = frozenset(features)
        if unknown := self.features - isa.features:
            raise ValueError(f"{isa.name} has no features {sorted(unknown)}")
        self._lines: list[Line] = []
        self._labels: set[str] = set()
        self._size = 0

    def emit(self, source: str) -> Block:
        """Check a block of lines and add it; AsmError, with nothing added, if one is illegal.

        Empty lines are kept, but for those above the first line. Lines of spaces alone are dropped:
        they are what an empty interpolation leaves behind.
        """
        rows = [(n, row) for n, row in enumerate(source.splitlines(), 1) if row.strip() or not row]
        while rows and not rows[0][1]:
            del rows[0]
        margin = min((_indent(row) for _, row in rows if row), default=0)
        labels: set[str] = set()
        lines = []
        for number, row in rows:
            try:
                lines.append(_parse(self.isa, self.features, row, _indent(row) == margin))
                for label in lines[-1].labels:
                    self._define(label, labels)
            except IllegalError as error:
                raise AsmError(row.strip(), number, error.reason, error.legal) from None
        self._labels |= labels
        return self._add(lines)

    def _add(self, lines: Sequence[Line]) -> Block:
        for line in lines:
            self._size += line.size_at(self._size)
        self._lines += lines
        return Block(tuple(lines))

    def append(self, other: Assembly) -> None:
        """Add all that another piece for the same device holds; AsmError for a label twice."""
        twice = sorted(self._labels & other.labels)
        if twice:
            raise AsmError(f"{twice[0]}:", 1, f"the label {twice[0]} is already defined")
        self._add(other.block.lines)
        self._labels |= other.labels

    def data(self, directive: str, values: Iterable[int], per_line: int = 16) -> Block:
        """Add numbers as rows of `.byte`, `.word` or `.2byte`; AsmError for one out of range."""
        numbers = [int(value) for value in values]
        texts = [str(number) for number in numbers]
        rows = [tuple(texts[at : at + per_line]) for at in range(0, len(texts), per_line)]
        kind = _numbers(self.isa).get(directive)
        if kind is None or not all(number in kind.allowed for number in numbers):
            return self.emit("\n".join(_row(directive, row) for row in rows))  # says what is wrong
        codes = [Data(directive, row, _row(directive, row)) for row in rows]
        return self._add([Line(code=code, banner=True) for code in codes])

    @property
    def block(self) -> Block:
        """Everything written so far."""
        return Block(tuple(self._lines))

    @property
    def labels(self) -> frozenset[str]:
        """The labels defined so far."""
        return frozenset(self._labels)

    @property
    def size(self) -> int:
        """Bytes, data included."""
        return self._size

    def text(self) -> str:
        """Return the GNU-as source, aligned."""
        return self.block.text()

    def listing(self) -> str:
        """Return the source with offset, bytes and cycles (`not taken/taken`) in the margin."""
        return self.block.listing()

    def _define(self, label: str, labels: set[str]) -> None:
        if label in labels or label in self._labels:
            raise IllegalError(f"the label {label} is already defined")
        if label.lower() in self.isa.reserved:
            raise IllegalError(f"{label} is a register's or a condition's name, not a label")
        labels.add(label)


@lru_cache(maxsize=1 << 15)
def _parse(isa: Isa, features: frozenset[str], row: str, leftmost: bool) -> Line:
    """One row for a device; the same rows are written again and again."""
    found = _LINE.fullmatch(row)
    if not found:
        raise IllegalError("not a line of labels, an instruction and a comment")
    defined = tuple(name.strip() for name in found[1].split(":")[:-1])
    mnemonic, rest = (*found[2].split(None, 1), "", "")[:2]
    code: Instruction | Data | None = None
    if mnemonic.startswith("."):
        code = _data(isa, mnemonic, rest)
    elif mnemonic:
        code = decode(isa, features, mnemonic, rest)
    return Line(defined, code, found[3], banner=leftmost)
