"""Expressions in operands, as GNU as reads them.

Their precedence is not C's: `* << >>`, then `& | ^`, then `+ -`. Expressions of literal numbers
alone have a value here; symbols are left to the assembler and the linker.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

LABEL = r"(?:[A-Za-z_]\w*|\.L\w+)"
_SYMBOL = re.compile(LABEL)
_TOKEN = re.compile(rf"0[xX][0-9a-fA-F]+|0[bB][01]+|0(?!\w)|[1-9]\d*|{LABEL}|<<|>>|[-+*&|^~()$.]")
_LITERAL = re.compile(r"-?(?:0x[0-9a-fA-F]+|[1-9]\d*|0)")


class Vocabulary(Protocol):
    """What an expression must know of an instruction set."""

    @property
    def reserved(self) -> frozenset[str]:
        """Names that are no symbols, in lower case."""

    @property
    def here(self) -> str:
        """How the current address is written."""


class IllegalError(Exception):
    """Why a statement is refused, before the line it stands on is known."""

    def __init__(self, reason: str, legal: tuple[str, ...] = ()) -> None:
        self.reason, self.legal = reason, legal
        super().__init__(reason)


class ValueRangeError(IllegalError):
    """The right kind of operand, with a value out of range."""


def _shift(shift: Callable[[int, int], int]) -> Callable[[int, int], int]:
    """Refuse the shifts of which assemblers make something else than Python does."""

    def checked(left: int, right: int) -> int:
        if left < 0 or not 0 <= right < 32:
            raise IllegalError(f"shift of {left} by {right}")
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


def evaluate(text: str, isa: Vocabulary) -> int | None:
    """Return an expression's value; None if symbols make it unknown before linking."""
    if _LITERAL.fullmatch(text):
        return int(text, 0)
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text:
        raise IllegalError(f"{text} is not an expression")
    rest = iter([*tokens, ""])
    value, end = _binary(next(rest), rest, isa, 0)
    if end:
        raise IllegalError(f"{text} is not an expression: unexpected {end}")
    return value


def _binary(token: str, rest: Iterator[str], isa: Vocabulary, floor: int) -> tuple[int | None, str]:
    """Climb precedences from the term at `token`: its value, and the first token after it."""
    left, token = _term(token, rest, isa)
    while token in _OPERATORS and _OPERATORS[token][0] > floor:
        precedence, apply = _OPERATORS[token]
        right, token = _binary(next(rest), rest, isa, precedence)
        left = None if left is None or right is None else apply(left, right)
    return left, token


def _term(token: str, rest: Iterator[str], isa: Vocabulary) -> tuple[int | None, str]:
    if token in _UNARY:
        value, after = _term(next(rest), rest, isa)
        return None if value is None else _UNARY[token](value), after
    if token == "(":
        value, after = _binary(next(rest), rest, isa, 0)
        if after != ")":
            raise IllegalError("a parenthesis is not closed")
        return value, next(rest)
    if token[:1].isdigit():
        return int(token, 0), next(rest)
    if token.lower() in isa.reserved:
        raise IllegalError(f"{token} is a register's or a condition's name, not a number")
    if _SYMBOL.fullmatch(token) or (token and token in isa.here):
        return None, next(rest)
    raise IllegalError(f"an operand is missing before {token or 'the end'}")
