"""The code that adds an input to ten outputs: two codes, and a handler of five outputs for each.

Both codes are looked up before the first one's handler runs, and that goes on to the second one's,
so handlers of the two are different: in their registers, and in what they end with. Five handlers
lie in the page itself, those of a single -1, which are met often, and so cost no jump.

Registers: as `trit_handlers`, but r2..r11 and r12..r21 the accumulators, r23 and r22 the pages of
first and second codes, r25 the second code, Y where pairs are; T is set while an input is met once
more. In a pair r22 is its other code, and r24 the second code.

Cycles: from one input to the next 23, 2 less for each code of no weights or of a near handler, and
2 more for each jump to a shared tail; a weight that is not zero takes 2. A pair takes 32 more and
what its other handler adds, a late code 50, both 2 less where that handler is near.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from kernels.asm import Assembly
from kernels.avr.trit_handlers import EMPTY, FIRST, Handlers, jump
from kernels.emit import Job
from kernels.encodings.trits import BLOCK, PATTERNS
from kernels.encodings.twin_trits import LATE, PAIRS, Block

NEAR = tuple(pattern for pattern in PATTERNS if sum(pattern) == -1 == -np.count_nonzero(pattern))


def twin_handlers(job: Job) -> tuple[str, str]:
    """The names of the handlers of both codes of ten outputs; those of the second begin."""
    first, second = "twin_trits", "twin_trits_second"
    for name, kind in ((first, _First), (second, _Second)):
        written = kind(name, 2, False)
        near = (written.label(pattern) for pattern in NEAR)
        job.jumps(f"{name}_jump", f"{name}_next", f"{name}_page", *near)
        job.share(name, written.write, align=512, code=True)
    return first, second


def first_places(block: Block, codes: NDArray[np.integer]) -> list[int]:
    """Where in their page the handlers of first codes are."""
    behind = PAIRS - len(block.pairs)  # pairs end where late codes begin
    found: list[int] = (
        _FIRST_PLACES[codes + np.where(codes < len(PATTERNS), 0, behind)].ravel().tolist()
    )
    return found


def second_places(codes: NDArray[np.integer]) -> list[int]:
    """Where in their page the handlers of second codes are."""
    found: list[int] = _SECOND_PLACES[codes].ravel().tolist()
    return found


def pairs_offset(block: Block) -> int:
    """What Y falls short of where the block's pairs are: twice the first place, modulo 256."""
    return 2 * int(_FIRST_PLACES[len(PATTERNS) + PAIRS - len(block.pairs)]) % 256


def _places(before: int, more: int, words: int) -> NDArray[np.int64]:
    """Where in a page the handler of each code is, int64 (211 + more,).

    before: as `Handlers.before`. more: codes behind the patterns'. words: what a near handler has.
    """
    far = [pattern for pattern in PATTERNS if pattern not in NEAR]
    found = {pattern: before + n for n, pattern in enumerate(far)} | {EMPTY: 0}
    behind = before + len(far)
    found |= {pattern: behind + more + words * n for n, pattern in enumerate(NEAR)}
    return np.array([*(found[pattern] for pattern in PATTERNS), *range(behind, behind + more)])


_FIRST_PLACES = _places(2, PAIRS + LATE + 1, 5)
_SECOND_PLACES = _places(7, 1, 10)
END = int(_FIRST_PLACES[-1])


@dataclass(frozen=True)
class _First(Handlers):
    """Those of the first code of two; they end by going on to the second one, in r25."""

    copied: ClassVar = 1
    before: ClassVar = 2
    near: ClassVar = NEAR

    def _next(self, out: Assembly) -> int:
        before = out.size
        out.emit("mov   r30, r25")
        jump(out, f"{self.name}_second")
        return out.size - before

    def _codes(self, out: Assembly, page: str) -> None:
        out.emit(f"rjmp  {self.name}_pair {page}\n" * PAIRS)
        out.emit(f"rjmp  {self.name}_late {page}\n" * LATE)
        out.emit(f"ret {page}")

    def _routines(self, out: Assembly) -> None:
        self._pair(out)
        self._late(out)

    def _pair(self, out: Assembly) -> None:
        """A first code, whose second one is the place of `rest`; then the other, and the second."""
        out.emit(f"{self.name}_pair:\nmov   r24, r25")
        self._find(out)
        out.emit(f"lpm   r22, Z+\nlpm   r30, Z\nldi   r25, {_SECOND_PLACES[len(PATTERNS)]}")
        jump(out, self.name)
        out.emit(f"""
        {self.name}_rest:
                mov   r30, r22
                mov   r25, r24
                mov   r22, r23
                inc   r22
        """)
        jump(out, self.name)

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
        jump(out, f"{self.name}_second")
        out.emit(f"{self.name}_again:\nclt\nadiw  r30, 1\nlpm   r30, Z")
        jump(out, self.name)

    @staticmethod
    def _find(out: Assembly) -> None:
        """Z to the two codes that the code in r30 stands for."""
        out.emit("lsl   r30\nmov   r31, r29\nadd   r30, r28\nadc   r31, r1")


@dataclass(frozen=True)
class _Second(Handlers):
    """Those of the second code, which take the next input's codes from the pages r23 and r22."""

    copied: ClassVar = 1
    before: ClassVar = 7
    near: ClassVar = NEAR
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
        jump(out, self.name.removesuffix("_second"))
        return out.size - before

    def _codes(self, out: Assembly, page: str) -> None:
        out.emit(f"rjmp  {self.name.removesuffix('_second')}_rest {page}")

    def _routines(self, out: Assembly) -> None:
        """Pairs and the end are first codes."""
