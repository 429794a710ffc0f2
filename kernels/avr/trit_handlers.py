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
from kernels.encodings import twin_trits
from kernels.encodings.trits import BLOCK, PAIRS, PATTERNS, Pattern

FIRST = 2  # the accumulators' first register
_PAGE = 256
END = _PAGE - 1  # behind a block's last code
_BEFORE = 10  # places that `next` takes besides the one that its code has anyway
_BEFORE_FIRST = 2  # the same of the first code of two
_REST = _BEFORE + len(PATTERNS)  # of the second handlers' page, where pairs of first codes go on
_EMPTY = (0,) * BLOCK


def places(codes: NDArray[np.integer]) -> list[int]:
    """Where in the page the handlers of codes are."""
    return [code + _BEFORE if code else 0 for code in codes.ravel().tolist()]


def handlers(job: Job, width: int, *, paged: bool = False) -> str:
    """The name of the handlers for accumulators of that many bytes; written once a program.

    They begin at `name_next`. paged: for blocks that have pages.
    """
    name = f"{'paged_' * paged}trits{width}"
    job.jumps(f"{name}_jump", f"{name}_next", f"{name}_page")
    kind = _Paged if paged else _Handlers
    job.share(name, kind(name, width, job.far).write, align=2 * _PAGE, code=True)
    return name


def twin_handlers(job: Job) -> tuple[str, str]:
    """The names of the handlers of both codes of ten outputs; those of the second begin."""
    first, second = "twin_trits", "twin_trits_second"
    job.jumps(f"{first}_jump", f"{first}_next", f"{first}_page")
    job.jumps(f"{second}_jump", f"{second}_next", f"{second}_page")
    job.share(first, _First(first, 2, False).write, align=2 * _PAGE, code=True)
    job.share(second, _Second(second, 2, False).write, align=2 * _PAGE, code=True)
    return first, second


def twin_places(block: twin_trits.Block, codes: NDArray[np.integer]) -> list[int]:
    """Where in their page the handlers of first codes of ten outputs are."""
    behind = twin_trits.PAIRS - len(block.pairs)  # pairs end where late codes begin
    found = codes + _BEFORE_FIRST + np.where(codes < len(PATTERNS), 0, behind)
    return np.where(codes, found, 0).ravel().tolist()


def twin_offset(block: twin_trits.Block) -> int:
    """What Y falls short of where the block's pairs are: twice the first place, modulo 256."""
    pair = _BEFORE_FIRST + len(PATTERNS) + twin_trits.PAIRS - len(block.pairs)
    return 2 * pair % _PAGE


def promise(job: Job, name: str, jumps: int, pairs: int, additions: int) -> None:
    """How often handlers are jumped to, how many inputs meet a pair, and all additions."""
    job.at_most(f"{name}_jump", jumps)
    job.at_most(f"{name}_pair", 2 * pairs)
    job.at_most(f"{name}_add", additions)


@dataclass(frozen=True)
class _Handlers:
    name: str
    width: int
    far: bool
    copied: ClassVar = 0  # outputs that a tail may have to be copied
    first: ClassVar = FIRST  # register
    before: ClassVar = _BEFORE

    def write(self, out: Assembly) -> None:
        """Write all; the text's start is to be aligned to two pages."""
        out.emit(f"{self.name}_next:")
        size = self._next(out)
        out.emit("nop\n" * (self.before + 1 - size // 2))
        page = f"; #{self.name}_page"
        for pattern in PATTERNS[1:]:
            out.emit(f"rjmp  {self.label(pattern)} {page}")
        self._codes(out, page)
        for chain in _chains():
            self._chain(out, chain)
        self._routines(out)

    def _codes(self, out: Assembly, page: str) -> None:
        """The places behind those of the patterns."""
        out.emit(f"rjmp  {self.name}_pair {page}\n" * PAIRS)
        out.emit(f"ret {page}")

    def label(self, pattern: Pattern) -> str:
        """Where a pattern's handler begins."""
        if pattern == _EMPTY:
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
        while rest != _EMPTY:
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
        _jump(out, self.name)

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
class _Paged(_Handlers):
    """Those of blocks whose codes have a page each, of which r19 is the number."""

    copied: ClassVar = 2

    def _address(self, out: Assembly) -> None:
        out.emit("mov   r31, r19")

    def _restore(self, out: Assembly) -> None:
        if self.far:
            out.emit(f"out   {RAMPZ:#x}, r20")


@dataclass(frozen=True)
class _First(_Handlers):
    """Those of the first code of two; they end by going on to the second one, in r25."""

    copied: ClassVar = 1
    before: ClassVar = _BEFORE_FIRST

    def _next(self, out: Assembly) -> int:
        before = out.size
        out.emit("mov   r30, r25")
        _jump(out, f"{self.name}_second")
        return out.size - before

    def _codes(self, out: Assembly, page: str) -> None:
        out.emit(f"rjmp  {self.name}_pair {page}\n" * twin_trits.PAIRS)
        out.emit(f"rjmp  {self.name}_late {page}\n" * twin_trits.LATE)
        out.emit(f"ret {page}")

    def _routines(self, out: Assembly) -> None:
        self._pair(out)
        self._late(out)

    def _pair(self, out: Assembly) -> None:
        """A first code whose second one is `_REST`, then the other first code and the second."""
        out.emit(f"{self.name}_pair:\nmov   r24, r25")
        self._find(out)
        out.emit(f"lpm   r22, Z+\nlpm   r30, Z\nldi   r25, {_REST}")
        _jump(out, self.name)
        out.emit(f"""
        {self.name}_rest:
                mov   r30, r22
                mov   r25, r24
                mov   r22, r23
                inc   r22
        """)
        _jump(out, self.name)

    def _late(self, out: Assembly) -> None:
        """A second code alone, then this input once more, when T is set."""
        out.emit(f"{self.name}_late:")
        self._find(out)
        out.emit(f"""
                brts  {self.name}_again
                set
                sbiw  r26, 2                  ; this input once more
                lpm   r30, Z
        """)
        _jump(out, f"{self.name}_second")
        out.emit(f"{self.name}_again:\nclt\nadiw  r30, 1\nlpm   r30, Z")
        _jump(out, self.name)

    @staticmethod
    def _find(out: Assembly) -> None:
        """Z to the two codes that the code in r30 stands for."""
        out.emit("lsl   r30\nmov   r31, r29\nadd   r30, r28\nadc   r31, r1")


@dataclass(frozen=True)
class _Second(_Handlers):
    """Those of the second code, which take the next input's codes from the pages r23 and r22."""

    copied: ClassVar = 1
    first: ClassVar = FIRST + 2 * BLOCK

    def _next(self, out: Assembly) -> int:
        before = out.size
        out.emit("""
                ld    r30, X+                 ; input
                ld    r0, X+
                mov   r31, r22
                lpm   r25, Z
                mov   r31, r23
                lpm   r30, Z
        """)
        _jump(out, self.name.removesuffix("_second"))
        return out.size - before

    def _codes(self, out: Assembly, page: str) -> None:
        out.emit(f"rjmp  {self.name.removesuffix('_second')}_rest {page}")

    def _routines(self, out: Assembly) -> None:
        """Pairs and the end are first codes."""


def _jump(out: Assembly, name: str) -> None:
    """To the handler, of that name, of the code in r30."""
    out.emit(f"ldi   r31, pm_hi8({name})\nijmp ; #{name}_jump")


def _first(pattern: Pattern) -> int:
    return next(at for at, weight in enumerate(pattern) if weight)


def _rest(pattern: Pattern) -> Pattern:
    at = _first(pattern)
    return (*pattern[:at], 0, *pattern[at + 1 :])


def _chains() -> list[list[Pattern]]:
    """Every pattern once; in a chain each one is followed by what is left of it."""
    free = {pattern: True for pattern in PATTERNS if pattern != _EMPTY}
    return [list(_follow(pattern, free)) for pattern in sorted(free, key=_first) if free[pattern]]


def _follow(pattern: Pattern, free: dict[Pattern, bool]) -> Iterator[Pattern]:
    while pattern != _EMPTY and free[pattern]:
        free[pattern] = False
        yield pattern
        pattern = _rest(pattern)
