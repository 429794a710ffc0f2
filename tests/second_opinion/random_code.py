"""Random instruction sequences: every form of an instruction set's table, in random order.

Each piece sets up what its instruction needs (a pointer into data, something pushed), so the code
runs straight on: branches, skips and calls lead to the next piece in any case. Flags are stored
behind every other piece, all registers in the end, so what differs anywhere shows in memory. What a
piece looks like stands in `random_avr` and `random_z80`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol, cast

import random_avr
import random_z80
from routine import Routine

from kernels.asm import AsmError, Assembly
from kernels.isa import Form, Isa, Names
from kernels.target import Target
from kernels.toolchain import assemble

STACK = 64


class Dialect(Protocol):
    """What the module of an instruction set offers.

    LEFT_OUT: why, by mnemonic or by operands. OPERANDS: how to draw operands of a class, where not
    all that is legal will do; a jump leads to NEXT, the label behind its piece.
    """

    ISA: Isa
    LEFT_OUT: Mapping[str, str]
    OPERANDS: Mapping[str, Callable[[Random], str]]

    def piece(self, form: Form, operands: list[str], rng: Random, target: Target) -> str:
        """The instruction with what must come before and after it."""

    def trace(self, number: int) -> str:
        """Store the flags in a place of their own."""

    def frame(self, body: str, target: Target) -> str:
        """Registers and flags from memory, the body, registers and flags to memory, a return."""


DIALECTS = {"avr": cast("Dialect", random_avr), "z80": cast("Dialect", random_z80)}


def random_routine(target: Target, seed: int, repeats: int = 4) -> Routine:
    """A routine with every form `repeats` times."""
    rng, dialect = Random(seed), DIALECTS[target.isa]
    pieces = [
        dialect.piece(form, _operands(dialect, form, target, rng), rng, target)
        for form in forms(dialect, target)
        for _ in range(repeats)
    ]
    rng.shuffle(pieces)
    traced = [text + rng.choice(("", f"\n{dialect.trace(n)}")) for n, text in enumerate(pieces)]
    body = "\n".join(text.replace("NEXT", f"next{n}") for n, text in enumerate(traced))
    start = f".text\n.org {target.code.origin}\n"
    linked = assemble(f"{start}infer:\n{dialect.frame(body, target)}\n", target)
    top = target.data.end - 1
    entry = linked.symbols["infer"]
    return Routine(target, target.code.origin, linked.data, entry, top, top + 1 - STACK)


def forms(dialect: Dialect, target: Target) -> list[Form]:
    """What is tried: all that the target has, but for what is left out."""
    return [
        form
        for form in dialect.ISA.forms
        if form.mnemonic not in dialect.LEFT_OUT
        and ",".join(form.operands) not in dialect.LEFT_OUT
        and (form.feature is None or form.feature in target.features)
    ]


def _operands(dialect: Dialect, form: Form, target: Target, rng: Random) -> list[str]:
    """Random operands that are legal together."""
    while True:
        operands = [_operand(dialect, spec, rng) for spec in form.operands]
        try:
            Assembly(dialect.ISA, target.features).emit(f"{form.mnemonic} {', '.join(operands)}")
        except AsmError:
            continue
        return operands


def _operand(dialect: Dialect, spec: str, rng: Random) -> str:
    draw = dialect.OPERANDS.get(spec.rstrip("'"))
    if draw:
        return draw(rng)
    kind = dialect.ISA.operand(spec)
    return rng.choice(list(kind.names) if isinstance(kind, Names) else [*map(str, kind.allowed)])
