"""From the text of an instruction to the form that it has on a device, or why it has none."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

from kernels.expression import IllegalError, ValueRangeError
from kernels.isa import Form, Instruction, Isa, Names

_SPACES = re.compile(r"\s+(?=[-+*&|^~()<>])|(?<=[-+*&|^~()<>])\s+")


@lru_cache(maxsize=1 << 16)
def decode(isa: Isa, features: frozenset[str], mnemonic: str, rest: str) -> Instruction:
    """Find the form that an instruction has on a device; `rest` holds its operands."""
    operands = split_operands(rest)
    for form in reversed(isa.mnemonics.get(mnemonic, ())):
        if form.feature is not None and form.feature not in features:
            continue
        try:
            named = _match(isa, form, operands)
        except IllegalError:
            continue
        text = f"{mnemonic:<7} {isa.separator.join(operands)}".rstrip()
        reads, writes = isa.touched(form.reads, named), isa.touched(form.writes, named)
        return Instruction(form, operands, text, reads, writes)
    raise _explain(isa, mnemonic, operands)


def split_operands(text: str) -> tuple[str, ...]:
    """Split at commas and drop the spaces that carry no meaning."""
    if not text:
        return ()
    return tuple(_SPACES.sub("", operand.strip()) for operand in text.split(","))


def _match(isa: Isa, form: Form, operands: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the registers that each operand of the form stands for."""
    if len(operands) != len(form.operands):
        raise IllegalError(f"{form.mnemonic} does not take {len(operands)} operands")
    kinds = {spec: isa.operand(spec) for spec in form.operands}
    named = {
        spec: kind.check(text, isa)
        for (spec, kind), text in zip(kinds.items(), operands, strict=True)
    }
    for spec, kind in kinds.items():
        if isinstance(kind, Names) and kind.exclusive:
            others = {name for other in named if other != spec for name in named[other]}
            for name in others.intersection(named[spec]):
                raise ValueRangeError(f"{name} is both changed as an address and used: undefined")
    return named


def _explain(isa: Isa, mnemonic: str, operands: tuple[str, ...]) -> IllegalError:
    """Say why no form fits, judging by those that come nearest."""
    forms = isa.mnemonics.get(mnemonic)
    if not forms:
        near = get_close_matches(mnemonic, isa.mnemonics, 3)
        legal = tuple(isa.describe(form) for name in near for form in isa.mnemonics[name][:1])
        return IllegalError(f"unknown instruction {mnemonic}", legal)
    nearest = sorted(forms, key=lambda form: _fit(isa, form, operands), reverse=True)
    legal = tuple(dict.fromkeys(isa.describe(form) for form in nearest))[:4]
    best = [
        form for form in nearest if _fit(isa, form, operands) == _fit(isa, nearest[0], operands)
    ]
    if len({form.operands for form in best}) > 1 and len(best[0].operands) == len(operands):
        return IllegalError(f"no form of {mnemonic} takes {isa.separator.join(operands)}", legal)
    return IllegalError(_reason(isa, nearest[0], operands), legal)


def _reason(isa: Isa, form: Form, operands: tuple[str, ...]) -> str:
    try:
        _match(isa, form, operands)
    except IllegalError as error:
        return error.reason
    return f"{form.mnemonic} needs {form.feature}, which the device lacks"


def _fit(isa: Isa, form: Form, operands: tuple[str, ...]) -> tuple[bool, int]:
    """Judge how near a form comes: the number of operands, then two points for each that fits."""
    points = 0
    for spec, text in zip(form.operands, operands, strict=False):
        try:
            isa.operand(spec).check(text, isa)
            points += 2
        except ValueRangeError:
            points += 1
        except IllegalError:
            pass
    return len(form.operands) == len(operands), points
