"""What an instruction set is: forms, what may stand in their operands, what they cost and touch.

The table is a list of `Form`s; what may stand in each operand's place is told by `Names`
(registers, conditions) and `Numbers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kernels.expression import IllegalError, ValueRangeError, evaluate

_FUNCTION = re.compile(r"(\w+)\((.*)\)")


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
            raise IllegalError(f"{text} is not {self.text}")
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
            raise IllegalError(f"{text} is not {self.text}")
        number = found["number"] or "0"
        if self.relative and number[0] in isa.here:
            value = evaluate(number[1:] or "0", isa)
        else:
            value = self._value(number, isa)
            if self.relative and value is not None:
                raise IllegalError(f"{text} is not a label or a distance such as {isa.here[0]}+4")
        if value is None and not self.symbolic:
            raise IllegalError(f"{text} must be a literal number, {self.text}")
        if value is not None and value not in self.allowed:
            shown = text if number == str(value) else f"{text} = {value}"
            raise ValueRangeError(f"{shown} is not in {self.text}")
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
