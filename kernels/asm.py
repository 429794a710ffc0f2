"""The checked assembly writer: GNU-as text in, the same text out, every line proven legal.

Emitters write assembly as text. Each line is parsed and its instruction looked up in the device's
instruction table, so an illegal operand fails at the Python line that wrote it, and bytes, cycles
and the registers touched are known without assembling. The table is a list of `Form`s; what may
stand in each operand's place is told by `Names` (registers, conditions) and `Numbers`.

Expressions have GNU as's precedence, which is not C's: `* << >>`, then `& | ^`, then `+ -`. Those
of literal numbers alone are range-checked here; symbols are left to the assembler and the linker.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property, lru_cache

_LABEL = r"(?:[A-Za-z_]\w*|\.L\w+)"
_SYMBOL = re.compile(_LABEL)
_LINE = re.compile(rf"\s*((?:{_LABEL}\s*:\s*)*)([^;]*?)\s*(?:;\s*(.*?)\s*)?")
_TOKEN = re.compile(rf"0[xX][0-9a-fA-F]+|0[bB][01]+|0(?!\w)|[1-9]\d*|{_LABEL}|<<|>>|[-+*&|^~()$.]")
_LITERAL = re.compile(r"-?(?:0x[0-9a-fA-F]+|[1-9]\d*|0)")
_SPACES = re.compile(r"\s+(?=[-+*&|^~()<>])|(?<=[-+*&|^~()<>])\s+")
_FUNCTION = re.compile(r"(\w+)\((.*)\)")


class AsmError(ValueError):
    """A line that the device would not accept: which line of the block, why, and what is legal."""

    def __init__(self, line: str, number: int, reason: str, legal: tuple[str, ...] = ()) -> None:
        self.line, self.number, self.reason, self.legal = line, number, reason, legal
        hints = "".join(f"\n    legal: {form}" for form in legal)
        super().__init__(f"line {number}: {line}\n    {reason}{hints}")


class _IllegalError(Exception):
    """Why a statement is refused, before the line it stands on is known."""

    def __init__(self, reason: str, legal: tuple[str, ...] = ()) -> None:
        self.reason, self.legal = reason, legal
        super().__init__(reason)


class _RangeError(_IllegalError):
    """The right kind of operand, with a value out of range."""


@dataclass(frozen=True, slots=True)
class Names:
    """Operands that are one of several names: registers, address modes, conditions.

    names: the registers and flags that each one stands for. exclusive: no other operand may touch
    them (the AVR's `ld r26, X+` is undefined).
    """

    text: str
    names: Mapping[str, tuple[str, ...]]
    exclusive: bool = False

    def check(self, text: str, isa: Isa) -> tuple[str, ...]:  # noqa: ARG002
        """Return the registers that the operand stands for; raise if it is not one of these."""
        if text not in self.names:
            raise _IllegalError(f"{text} is not {self.text}")
        return self.names[text]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Operands that are a number of `allowed`, or an expression of symbols if `symbolic`.

    pattern: the syntax around the number, with groups `number` and, for an address relative to a
    register, `name` (looked up in `names`). relative: a jump target, where a literal distance is
    written from here, as `.+4`. registers: what some numbers stand for (the AVR's port of flags).
    functions: relocation operators such as lo8(), allowed around the whole expression.
    """

    text: str
    allowed: range
    pattern: re.Pattern[str] = re.compile(r"(?P<number>.+)")
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    symbolic: bool = True
    relative: bool = False
    registers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    functions: Mapping[str, Callable[[int], int]] = field(default_factory=dict)

    def check(self, text: str, isa: Isa) -> tuple[str, ...]:
        """Return the registers that the operand stands for; raise if it is illegal."""
        found = self.pattern.fullmatch(text)
        if not found:
            raise _IllegalError(f"{text} is not {self.text}")
        number = found["number"] or "0"
        if self.relative and number[0] in isa.here:
            value = evaluate(number[1:] or "0", isa)
        else:
            value = self._value(number, isa)
            if self.relative and value is not None:
                raise _IllegalError(f"{text} is not a label or a distance such as {isa.here[0]}+4")
        if value is None and not self.symbolic:
            raise _IllegalError(f"{text} must be a literal number, {self.text}")
        if value is not None and value not in self.allowed:
            shown = text if number == str(value) else f"{text} = {value}"
            raise _RangeError(f"{shown} is not in {self.text}")
        names = self.names[found["name"]] if self.names else ()
        return names + (self.registers.get(value, ()) if value is not None else ())

    def _value(self, number: str, isa: Isa) -> int | None:
        call = _FUNCTION.fullmatch(number)
        if not call or call[1] not in self.functions:
            return evaluate(number, isa)
        value = self._value(call[2], isa)
        return None if value is None else self.functions[call[1]](value)


Operand = Names | Numbers


@dataclass(frozen=True, slots=True)
class Form:
    """One row of an instruction table.

    operands: the names of operand classes, or literal text (`a`, `(hl)`). taken: cycles if a branch
    is taken, a repeat repeats or a skip skips; taken_long: if it skips a two-word instruction.
    reads, writes: operands, registers, or flags run together (`SVNZC`). feature: what the device
    must have.
    """

    mnemonic: str
    operands: tuple[str, ...]
    size: int
    cycles: int
    taken: int | None
    taken_long: int | None
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    feature: str | None

    @property
    def timing(self) -> str:
        """The cycles as the manual shows them: `1`, `1/2`, `1/2/3`."""
        return "/".join(str(n) for n in (self.cycles, self.taken, self.taken_long) if n is not None)


def parse_table(text: str) -> tuple[Form, ...]:
    """Read rows `mnemonics | operands | bytes | cycles | reads > writes | feature`; # comments."""
    forms = []
    for row in text.splitlines():
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        mnemonics, operands, size, timing, effect, feature = (
            column.strip() for column in f"{row} {'|' * (5 - row.count('|'))}".split("|")
        )
        cycles, taken, taken_long = (*(int(n) for n in timing.split("/")), None, None)[:3]
        reads, _, writes = effect.partition(">")
        forms += [
            Form(
                mnemonic,
                tuple(operands.split(",")) if operands else (),
                int(size),
                cycles or 0,
                taken,
                taken_long,
                tuple(reads.split()),
                tuple(writes.split()),
                feature or None,
            )
            for mnemonic in mnemonics.split()
        ]
    return tuple(forms)


@dataclass(frozen=True, slots=True)
class Instruction:
    """A legal instruction: its form, its operands and the registers and flags it touches.

    Registers have lower-case names (`r0`, `hl` is `h` and `l`), flags are capitals (`Z`). Memory is
    not followed, so neither are registers reached through data addresses.
    """

    form: Form
    operands: tuple[str, ...]
    text: str
    reads: frozenset[str]
    writes: frozenset[str]


@dataclass(frozen=True, eq=False)
class Isa:
    """An instruction set. Of the forms that match a line, the last one the device has applies.

    registers: what the names in a form's reads and writes stand for. features: those that forms may
    ask for. here: how an expression names the current address. byte, word: what `.byte` and `.word`
    take. separator: between operands, as printed.
    """

    name: str
    forms: tuple[Form, ...]
    operands: Mapping[str, Operand]
    registers: Mapping[str, tuple[str, ...]]
    byte: Numbers
    word: Numbers
    features: frozenset[str] = frozenset()
    here: str = "."
    separator: str = ", "

    @cached_property
    def mnemonics(self) -> Mapping[str, tuple[Form, ...]]:
        """The forms of each mnemonic, in the table's order."""
        table: dict[str, tuple[Form, ...]] = {}
        for form in self.forms:
            table[form.mnemonic] = (*table.get(form.mnemonic, ()), form)
        return table

    @cached_property
    def reserved(self) -> frozenset[str]:
        """Names that an assembler would take for a register or condition, in lower case."""
        kinds = (kind for kind in self.operands.values() if isinstance(kind, Names))
        names = {name.lower() for kind in kinds for name in kind.names}
        return frozenset(names | self.registers.keys())

    def operand(self, spec: str) -> Operand:
        """Return the class that a form's operand names; r8' is r8 again; others are literal."""
        kind = self.operands.get(spec) or self.operands.get(spec.rstrip("'"))
        return kind or Names(spec, {spec: self.registers.get(spec.strip("()"), ())})

    def describe(self, form: Form) -> str:
        """Return a form as a message shows it: `ldi r16..r31, -128..255`."""
        operands = self.separator.join(self.operand(spec).text for spec in form.operands)
        return f"{form.mnemonic} {operands}".rstrip()

    def touched(
        self, template: tuple[str, ...], operands: Mapping[str, tuple[str, ...]]
    ) -> frozenset[str]:
        """Return the registers and flags that a form's reads or writes stand for."""
        names: set[str] = set()
        for token in template:
            names.update(operands[token] if token in operands else self.registers.get(token, token))
        return frozenset(names)


def _shift(shift: Callable[[int, int], int]) -> Callable[[int, int], int]:
    """Refuse the shifts of which assemblers make something else than Python does."""

    def checked(left: int, right: int) -> int:
        if left < 0 or not 0 <= right < 32:
            raise _IllegalError(f"shift of {left} by {right}")
        return shift(left, right)

    return checked


_OPERATORS: Mapping[str, tuple[int, Callable[[int, int], int]]] = {
    "*": (3, operator.mul),
    "<<": (3, _shift(operator.lshift)),
    ">>": (3, _shift(operator.rshift)),
    "&": (2, operator.and_),
    "|": (2, operator.or_),
    "^": (2, operator.xor),
    "+": (1, operator.add),
    "-": (1, operator.sub),
}
_UNARY: Mapping[str, Callable[[int], int]] = {
    "-": operator.neg,
    "+": operator.pos,
    "~": operator.inv,
}


def evaluate(text: str, isa: Isa) -> int | None:
    """Return an expression's value; None if symbols make it unknown before linking."""
    if _LITERAL.fullmatch(text):
        return int(text, 0)
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text:
        raise _IllegalError(f"{text} is not an expression")
    rest = iter([*tokens, ""])
    value, end = _binary(next(rest), rest, isa, 0)
    if end:
        raise _IllegalError(f"{text} is not an expression: unexpected {end}")
    return value


def _binary(token: str, rest: Iterator[str], isa: Isa, floor: int) -> tuple[int | None, str]:
    """Climb precedences from the term at `token`: its value, and the first token after it."""
    left, token = _term(token, rest, isa)
    while token in _OPERATORS and _OPERATORS[token][0] > floor:
        precedence, apply = _OPERATORS[token]
        right, token = _binary(next(rest), rest, isa, precedence)
        left = None if left is None or right is None else apply(left, right)
    return left, token


def _term(token: str, rest: Iterator[str], isa: Isa) -> tuple[int | None, str]:
    if token in _UNARY:
        value, after = _term(next(rest), rest, isa)
        return None if value is None else _UNARY[token](value), after
    if token == "(":
        value, after = _binary(next(rest), rest, isa, 0)
        if after != ")":
            raise _IllegalError("a parenthesis is not closed")
        return value, next(rest)
    if token[:1].isdigit():
        return int(token, 0), next(rest)
    if token.lower() in isa.reserved:
        raise _IllegalError(f"{token} is a register's or a condition's name, not a number")
    if _SYMBOL.fullmatch(token) or (token and token in isa.here):
        return None, next(rest)
    raise _IllegalError(f"an operand is missing before {token or 'the end'}")


@lru_cache(maxsize=1 << 16)
def _decode(isa: Isa, features: frozenset[str], mnemonic: str, rest: str) -> Instruction:
    """Find the form that an instruction has on a device; `rest` holds its operands."""
    operands = _operands(rest)
    for form in reversed(isa.mnemonics.get(mnemonic, ())):
        if form.feature is not None and form.feature not in features:
            continue
        try:
            named = _match(isa, form, operands)
        except _IllegalError:
            continue
        text = f"{mnemonic:<7} {isa.separator.join(operands)}".rstrip()
        reads, writes = isa.touched(form.reads, named), isa.touched(form.writes, named)
        return Instruction(form, operands, text, reads, writes)
    raise _explain(isa, mnemonic, operands)


def _operands(text: str) -> tuple[str, ...]:
    """Split at commas and drop the spaces that carry no meaning."""
    if not text:
        return ()
    return tuple(_SPACES.sub("", operand.strip()) for operand in text.split(","))


def _match(isa: Isa, form: Form, operands: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the registers that each operand of the form stands for."""
    if len(operands) != len(form.operands):
        raise _IllegalError(f"{form.mnemonic} does not take {len(operands)} operands")
    kinds = {spec: isa.operand(spec) for spec in form.operands}
    named = {
        spec: kind.check(text, isa)
        for (spec, kind), text in zip(kinds.items(), operands, strict=True)
    }
    for spec, kind in kinds.items():
        if isinstance(kind, Names) and kind.exclusive:
            others = {name for other in named if other != spec for name in named[other]}
            for name in others.intersection(named[spec]):
                raise _RangeError(f"{name} is both changed as an address and used: undefined")
    return named


def _explain(isa: Isa, mnemonic: str, operands: tuple[str, ...]) -> _IllegalError:
    """Say why no form fits, judging by those that come nearest."""
    forms = isa.mnemonics.get(mnemonic)
    if not forms:
        near = get_close_matches(mnemonic, isa.mnemonics, 3)
        legal = tuple(isa.describe(form) for name in near for form in isa.mnemonics[name][:1])
        return _IllegalError(f"unknown instruction {mnemonic}", legal)
    nearest = sorted(forms, key=lambda form: _fit(isa, form, operands), reverse=True)
    legal = tuple(dict.fromkeys(isa.describe(form) for form in nearest))[:4]
    best = [
        form for form in nearest if _fit(isa, form, operands) == _fit(isa, nearest[0], operands)
    ]
    if len({form.operands for form in best}) > 1 and len(best[0].operands) == len(operands):
        return _IllegalError(f"no form of {mnemonic} takes {isa.separator.join(operands)}", legal)
    return _IllegalError(_reason(isa, nearest[0], operands), legal)


def _reason(isa: Isa, form: Form, operands: tuple[str, ...]) -> str:
    try:
        _match(isa, form, operands)
    except _IllegalError as error:
        return error.reason
    return f"{form.mnemonic} needs {form.feature}, which the device lacks"


def _fit(isa: Isa, form: Form, operands: tuple[str, ...]) -> tuple[bool, int]:
    """Judge how near a form comes: the number of operands, then two points for each that fits."""
    points = 0
    for spec, text in zip(form.operands, operands, strict=False):
        try:
            isa.operand(spec).check(text, isa)
            points += 2
        except _RangeError:
            points += 1
        except _IllegalError:
            pass
    return len(form.operands) == len(operands), points


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


def _data(isa: Isa, directive: str, rest: str) -> Data:
    operands = _operands(rest)
    kinds: dict[str, Operand] = {".byte": isa.byte, ".word": isa.word, ".2byte": isa.word}
    kinds |= {".space": _SPACE, ".balign": _ALIGN}
    if directive not in kinds:
        raise _IllegalError(f"unknown directive {directive}", tuple(kinds))
    kind = kinds[directive]
    if not operands or (kind in (_SPACE, _ALIGN) and len(operands) > 1):
        raise _IllegalError(f"{directive} does not take {len(operands)} operands")
    for operand in operands:
        kind.check(operand, isa)
    return Data(directive, operands, f"{directive:<7} {', '.join(operands)}")


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
                lines.append(self._parse(row, _indent(row) == margin, labels))
            except _IllegalError as error:
                raise AsmError(row.strip(), number, error.reason, error.legal) from None
        for line in lines:
            self._size += line.size_at(self._size)
        self._lines += lines
        self._labels |= labels
        return Block(tuple(lines))

    def data(self, directive: str, values: Iterable[int], per_line: int = 16) -> Block:
        """Add numbers as rows of `.byte`, `.word` or `.2byte`."""
        texts = [str(int(value)) for value in values]
        rows = (texts[start : start + per_line] for start in range(0, len(texts), per_line))
        return self.emit("\n".join(f"{directive} {', '.join(row)}" for row in rows))

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

    def _parse(self, row: str, leftmost: bool, labels: set[str]) -> Line:
        found = _LINE.fullmatch(row)
        if not found:
            raise _IllegalError("not a line of labels, an instruction and a comment")
        defined = tuple(name.strip() for name in found[1].split(":")[:-1])
        for label in defined:
            self._define(label, labels)
        mnemonic, rest = (*found[2].split(None, 1), "", "")[:2]
        code: Instruction | Data | None = None
        if mnemonic.startswith("."):
            code = _data(self.isa, mnemonic, rest)
        elif mnemonic:
            code = _decode(self.isa, self.features, mnemonic, rest)
        return Line(defined, code, found[3], banner=leftmost)

    def _define(self, label: str, labels: set[str]) -> None:
        if label in labels or label in self._labels:
            raise _IllegalError(f"the label {label} is already defined")
        if label.lower() in self.isa.reserved:
            raise _IllegalError(f"{label} is a register's or a condition's name, not a label")
        labels.add(label)
