"""The code that adds an input to five outputs at once: a handler for each pattern of weights.

`next` takes the next pair of index and byte from a list, loads the index's code in the block, and
jumps there: codes are stored as places in a page of 256 instructions, mostly jumps. A handler adds
or subtracts the byte in the registers of its outputs, and ends in `next`, which itself is the
handler of no weights. The end of the list has a code, too, whose place in the page holds a RET.

Handlers share their tails: that of a pattern is the addition of its first output, then the handler
of the rest. One of several with the same rest lies right before it; the others jump there, or have
a copy.

Registers: r0 the byte, r1 zero, r2.. accumulators, lowest bytes first; r18, r19 (r20 where far)
where the block's codes begin; r21 zero; r22, r23 (r24) where its pairs begin; X the list. Clobbers
Z and, where far, r25. Where blocks have pages, r18 is not used, and RAMPZ is r20 where far.

Cycles: from one handler to the next 15, 18 where far, 13 where blocks have pages, 2 less for no
weights, and 2 more for each jump to a shared tail; a weight that is not zero takes as many as
accumulators have bytes. A pattern that is a pair takes two handlers and 30 cycles more, 33 where
far, and with pages 34. Handlers for pages, which are for speed, have copies of tails of up to two
outputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.avr.memory import RAMPZ
from kernels.emit import Job
from kernels.encodings.trits import BLOCK, PAIRS, PATTERNS, Pattern

FIRST = 2  # the accumulators' first register
_PAGE = 256
END = _PAGE - 1  # behind a block's last code
_BEFORE = 10  # places that `next` takes besides the one that its code has anyway
EMPTY = (0,) * BLOCK


def places(codes: NDArray[np.integer]) -> list[int]:
    """Where in the page the handlers of codes are."""
    return [code + _BEFORE if code else 0 for code in codes.ravel().tolist()]


def handlers(job: Job, width: int, *, paged: bool = False) -> str:
    """The name of the handlers for accumulators of that many bytes; written once a program.

    They begin at `name_next`. paged: for blocks that have pages.
    """
    name = f"{'paged_' * paged}trits{width}"
    job.jumps(f"{name}_jump", f"{name}_next", f"{name}_page")
    kind = _Paged if paged else Handlers
    job.share(name, kind(name, width, job.far).write, align=2 * _PAGE, code=True)
    return name


def promise(job: Job, name: str, jumps: int, pairs: int, additions: int) -> None:
    """How often handlers are jumped to, how many inputs meet a pair, and all additions."""
    job.at_most(f"{name}_jump", jumps)
    job.at_most(f"{name}_pair", 2 * pairs)
    job.at_most(f"{name}_add", additions)


@dataclass(frozen=True)
class Handlers:
    """Those of accumulators of `width` bytes; near ones lie in the page, and need no jump there."""

    name: str
    width: int
    far: bool
    copied: ClassVar = 0  # outputs that a tail may have to be copied
    first: ClassVar = FIRST  # register
    before: ClassVar = _BEFORE
    near: ClassVar[tuple[Pattern, ...]] = ()

    def write(self, out: Assembly) -> None:
        """Write all; the text's start is to be aligned to two pages."""
        out.emit(f"{self.name}_next:")
        size = self._next(out)
        out.emit("nop\n" * (self.before + 1 - size // 2))
        page = f"; #{self.name}_page"
        for pattern in PATTERNS[1:]:
            if pattern not in self.near:
                out.emit(f"rjmp  {self.label(pattern)} {page}")
        self._codes(out, page)
        for chain in _chains(self.near):
            self._chain(out, chain)
        self._routines(out)

    def _codes(self, out: Assembly, page: str) -> None:
        """The places behind the patterns' jumps; near handlers come next."""
        out.emit(f"rjmp  {self.name}_pair {page}\n" * PAIRS)
        out.emit(f"ret {page}")

    def label(self, pattern: Pattern) -> str:
        """Where a pattern's handler begins."""
        if pattern == EMPTY:
            return f"{self.name}_next"
        return f"{self.name}_" + "".join("zpm"[weight] for weight in pattern)

    def _chain(self, out: Assembly, chain: list[Pattern]) -> None:
        """Handlers that fall into one another; then a jump, or a copy of the rest."""
        for pattern in chain:
            out.emit(f"{self.label(pattern)}:")
            self._add(out, pattern)
        rest = _rest(chain[-1])
        if np.count_nonzero(rest) > self.copied:
            out.emit(f"rjmp  {self.label(rest)}")
            return
        while rest != EMPTY:
            self._add(out, rest)
            rest = _rest(rest)
        self._next(out)

    def _add(self, out: Assembly, pattern: Pattern) -> None:
        """The byte to the first output of a pattern."""
        at = _first(pattern)
        low = self.first + at * self.width
        add, carry = ("add", "adc") if pattern[at] > 0 else ("sub", "sbc")
        out.emit(f"{add}   r{low}, r0 ; #{self.name}_add")
        for byte in range(1, self.width):
            out.emit(f"{carry}   r{low + byte}, r1")

    def _next(self, out: Assembly) -> int:
        """The next input; how many bytes that takes."""
        before = out.size
        out.emit("ld    r30, X+                 ; input\nld    r0, X+")
        self._address(out)
        out.emit(f"{'elpm' if self.far else 'lpm'}   r30, Z")
        self._jump(out)
        return out.size - before

    def _address(self, out: Assembly) -> None:
        """Z from the input's number in r30 to its code."""
        out.emit("add   r30, r18\nmov   r31, r19\nadc   r31, r1")
        if self.far:
            out.emit(f"mov   r25, r20\nadc   r25, r1\nout   {RAMPZ:#x}, r25")

    def _jump(self, out: Assembly) -> None:
        """To the handler of the code in r30."""
        jump(out, self.name)

    def _restore(self, out: Assembly) -> None:
        """What the next input's address relies on."""

    def _routines(self, out: Assembly) -> None:
        """A pair's two handlers: the first is told to come back by stepping the list back."""
        out.emit(f"""
        {self.name}_pair:
                cpse  r21, r1
                rjmp  {self.name}_second
                lsl   r30
                subi  r30, {2 * (END - PAIRS) - _PAGE - 1}             ; behind the number of pairs
                mov   r31, r23
                add   r30, r22
                adc   r31, r1
        """)
        if self.far:
            out.emit(f"mov   r25, r24\nadc   r25, r1\nout   {RAMPZ:#x}, r25")
        load = "elpm" if self.far else "lpm"
        out.emit(f"""
                {load}  r21, Z+
                {load}  r30, Z
                sbiw  r26, 2                  ; this input once more
        """)
        self._restore(out)
        self._jump(out)
        out.emit(f"""
        {self.name}_second:
                mov   r30, r21
                clr   r21
        """)
        self._jump(out)


@dataclass(frozen=True)
class _Paged(Handlers):
    """Those of blocks whose codes have a page each, of which r19 is the number."""

    copied: ClassVar = 2

    def _address(self, out: Assembly) -> None:
        out.emit("mov   r31, r19")

    def _restore(self, out: Assembly) -> None:
        if self.far:
            out.emit(f"out   {RAMPZ:#x}, r20")


def jump(out: Assembly, name: str) -> None:
    """To the handler, of that name, of the code in r30."""
    out.emit(f"ldi   r31, pm_hi8({name})\nijmp ; #{name}_jump")


def _first(pattern: Pattern) -> int:
    return next(at for at, weight in enumerate(pattern) if weight)


def _rest(pattern: Pattern) -> Pattern:
    at = _first(pattern)
    return (*pattern[:at], 0, *pattern[at + 1 :])


def _chains(near: tuple[Pattern, ...]) -> list[list[Pattern]]:
    """Every pattern once, near ones first; in a chain each is followed by what is left of it."""
    free = {pattern: True for pattern in PATTERNS if pattern != EMPTY}
    order = [*near, *sorted(free, key=_first)]
    return [list(_follow(pattern, free)) for pattern in order if free[pattern]]


def _follow(pattern: Pattern, free: dict[Pattern, bool]) -> Iterator[Pattern]:
    while pattern != EMPTY and free[pattern]:
        free[pattern] = False
        yield pattern
        pattern = _rest(pattern)
