"""words: a tensor between two Linear layers as raw 16-bit sums, some of which units share.

A unit's sum is that of its own word and of others that are added or subtracted (`shared_sums.py`);
its reader does that as it looks at the unit, shifts the sum, and leaves those below zero alone. The
writer says which words these are: `Words`, in `Job.left`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernels.forms import Form
from kernels.ir import Node, Range
from kernels.ops.linear import Linear
from kernels.requant_plan import plan_requantization
from kernels.z80.sums import hands_on

STEP = 255  # the most that a walk of a column adds
MOST_WALKS = 64  # of a column for one input
TIME = 58  # T-states that a shared word takes: to be filled, and to be added to two neighbors
DEEPER = 32  # more for one that others are added to first, to be stored and loaded once more


@dataclass(frozen=True, slots=True)
class Term:
    """A word, `at` bytes behind the first, and its sign."""

    at: int
    sign: int = 1


Sum = tuple[Term, ...]  # its own word first


@dataclass(frozen=True, slots=True)
class Words:
    """The terms of each unit's sum."""

    units: tuple[Sum, ...]


class Loader:
    """Code that leaves one sum after the other in HL; DE keeps the last word that was added.

    16 T, and 31 T for each word that is added, 39 T for each that is subtracted; 20 T less for the
    first of them if it was the last one before. Flags unknown.
    """

    def __init__(self, symbol: str) -> None:
        """symbol: of the first word."""
        self._symbol, self._held = symbol, -1

    def wants(self, terms: Sum) -> int | None:
        """The word that `load` would find in DE, if any."""
        return self._held if len(terms) > 1 and terms[1].at == self._held else None

    def load(self, terms: Sum) -> str:
        """A sum, in the order of its terms."""
        lines = [f"ld hl,({self._symbol}+{terms[0].at})"]
        for term in terms[1:]:
            if term.at != self._held:
                lines.append(f"ld de,({self._symbol}+{term.at})")
            lines.append("add hl,de" if term.sign > 0 else "or a\nsbc hl,de")
            self._held = term.at
        return "\n".join(lines)


def loaded(symbol: str, sums: Sequence[Sum]) -> list[tuple[str, str]]:
    """For each sum code that leaves it in HL, and code that brings DE back for those behind.

    Code between two sums keeps DE, or ends with the latter, which is empty where none needs DE.
    """
    loader, codes, wants = Loader(symbol), list[str](), list[int | None]()
    for terms in sums:
        wants.append(loader.wants(terms))
        codes.append(loader.load(terms))
    keeps, wanted = list[str](), None
    for terms, want in zip(reversed(sums), reversed(wants), strict=True):
        keeps.append("" if wanted is None else f"ld de,({symbol}+{wanted})")
        wanted = want if len(terms) > 1 else wanted
    return list(zip(codes, reversed(keeps), strict=True))


def chained(sums: Sequence[Sum]) -> list[tuple[int, Sum]]:
    """Sums by number in an order, and with terms in one, that lets many share a loaded word.

    Words that two sums have in common are links, of which each sum takes two at most, and no ring
    closes; sums follow one another along their links.
    """
    links = _links(sums)
    order, placed = list[tuple[int, Sum]](), set[int]()
    ends = [number for number, own in enumerate(links) if len(own) < 2]
    for start in ends:
        number, before = start, None
        while number not in placed:
            placed.add(number)
            onward = next(((at, to) for at, to in links[number].items() if at != before), None)
            order.append((number, _between(sums[number], before, onward and onward[0])))
            if onward is not None:
                before, number = onward
    return order


def _links(sums: Sequence[Sum]) -> list[dict[int, int]]:
    """For each sum the words that are its links, with the other sum."""
    users: dict[int, list[int]] = {}
    for number, terms in enumerate(sums):
        for term in terms[1:]:
            users.setdefault(term.at, []).append(number)
    links: list[dict[int, int]] = [{} for _ in sums]
    chain = list(range(len(sums)))
    for at, pair in users.items():
        if len(pair) == 2 and all(len(links[number]) < 2 for number in pair):
            one, other = (_root(chain, number) for number in pair)
            if one != other:
                chain[one] = other
                links[pair[0]][at], links[pair[1]][at] = pair[1], pair[0]
    return links


def _root(chain: list[int], number: int) -> int:
    while chain[number] != number:
        number = chain[number]
    return number


def _between(terms: Sum, first: int | None, last: int | None) -> Sum:
    """With the words `first` and `last` at these places behind the sum's own."""
    own, *others = terms
    others.sort(key=lambda term: (term.at != first, term.at == last))
    return (own, *others)


def holds(layer: Linear, ranges: Mapping[str, Range]) -> bool:
    """Whether a layer's sums have 16 bits, and its inputs take no more walks than they may."""
    known = ranges[layer.input.name]
    walks = -(-(known.high - min(known.low, 0)) // STEP)
    return plan_requantization(layer, known).acc_bytes == 2 and walks <= MOST_WALKS


def _serves(writer: Node, reader: Node, ranges: Mapping[str, Range]) -> bool:
    if not isinstance(writer, Linear) or not isinstance(reader, Linear):
        return False
    if not holds(writer, ranges) or not holds(reader, ranges):
        return False
    plan = plan_requantization(writer, ranges[writer.input.name])
    return writer.input_shift == 0 and hands_on(plan, reader)


WORDS = Form("words", _serves)
