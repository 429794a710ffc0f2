"""Sample operands of every class, from which the other tests build lines of every form."""

from collections.abc import Iterator
from itertools import islice, product

import pytest

from kernels.asm import AsmError, Assembly
from kernels.avr.isa import AVR
from kernels.isa import Form, Isa, Names, Numbers
from kernels.z80.isa import Z80

ISAS = [AVR, Z80]
DEVICES = {
    "at90s8515": frozenset[str](),
    "attiny85": frozenset({"MOVW", "LPMX", "SPM", "BREAK"}),
    "atmega8": frozenset({"MOVW", "LPMX", "SPM", "MUL"}),
    "atmega328p": frozenset({"MOVW", "LPMX", "SPM", "BREAK", "MUL", "JMP"}),
    "atmega1284p": frozenset({"MOVW", "LPMX", "SPM", "BREAK", "MUL", "JMP", "ELPM"}),
    "atmega2560": AVR.features,
}
NUMBERS = {  # how a class writes a number; others write it plainly
    "P+q": ("Y+{}", "Z+{}"),
    "k7": (".{:+}",),
    "k12": (".{:+}",),
    "rel": ("${:+}",),
    "(n)": ("({})",),
    "(nn)": ("({})",),
    "(xy+d)": ("(ix{:+})", "(iy{:+})"),
}


def samples(isa: Isa, spec: str) -> list[str]:
    """Every name of a class; for numbers the least, the greatest and one between."""
    kind = isa.operand(spec)
    if isinstance(kind, Names):
        return list(kind.names)
    middle = kind.allowed[len(kind.allowed) * 3 // 4]
    values = (kind.allowed[0], middle, kind.allowed[-1])
    return [text.format(value) for text in NUMBERS.get(spec, ("{}",)) for value in values]


def lines(isa: Isa, form: Form, limit: int | None = None) -> Iterator[str]:
    """Yield instructions of a form, all combinations of sample operands."""
    for operands in islice(product(*(samples(isa, spec) for spec in form.operands)), limit):
        yield f"{form.mnemonic} {', '.join(operands)}"


def legal(isa: Isa, features: frozenset[str], line: str) -> bool:
    try:
        Assembly(isa, features).emit(line)
    except AsmError:
        return False
    return True


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_every_line_has_one_form(isa: Isa) -> None:
    """But for forms that replace another on some devices, no line may match two rows."""
    for form in isa.forms:
        for line in lines(isa, form):
            if legal(isa, isa.features, line):
                found = Assembly(isa, isa.features).emit(line).instructions[0].form
                same_place = (form.mnemonic, form.operands) == (found.mnemonic, found.operands)
                assert found is form or (same_place and found.feature), line


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_numbers_end_where_the_class_says(isa: Isa) -> None:
    for spec, kind in isa.operands.items():
        if not isinstance(kind, Numbers):
            continue
        step = kind.allowed.step
        for value in (kind.allowed[0] - step, kind.allowed[-1] + step):
            for text in NUMBERS.get(spec, ("{}",)):
                with pytest.raises(Exception, match="is not in"):
                    kind.check(text.format(value), isa)


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_effects_name_registers_and_flags_only(isa: Isa) -> None:
    flags = "CZNVSHTI" if isa is AVR else "SZHPNC"
    names = {name for group in isa.registers.values() for name in group} | set(flags)
    for form in isa.forms:
        line = next(line for line in lines(isa, form) if legal(isa, isa.features, line))
        instruction = Assembly(isa, isa.features).emit(line).instructions[0]
        assert instruction.reads | instruction.writes <= names, form
