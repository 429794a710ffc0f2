"""Weights in banks on Z80: a stream of equal pieces, as many to a bank as it takes.

A table tells of each bank in use how many pieces it holds, its number, and where they begin, so the
loop over pieces is written once, however many banks there are. T-states: 39 for each piece, and for
each bank 132 (147 where interrupts are served) and 21 or 42 at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from kernels.asm import Assembly
from kernels.emit import Job, bank_of
from kernels.target import Banks
from kernels.z80.accumulators import jump_unless_at

_MOST = 256  # a counter of 8 bits


@dataclass(frozen=True)
class BankedRows:
    """Streams of one layer. size: bytes of a piece. streams: whether SP walks them, not HL'."""

    job: Job
    banks: Banks
    size: int
    pieces: int
    streams: bool

    @property
    def per_bank(self) -> int:
        """Pieces that lie in a bank, but for the last bank."""
        return min(self.banks.size // self.size, _MOST)

    @cached_property
    def _state(self) -> str:
        """A pointer to the next bank's entry, and how many pieces are left in this one."""
        return self.job.scratch("banks", 3)

    def place(self, stream: str, piece: int) -> Assembly:
        """Where a piece of a stream is to be written; pieces come in order."""
        block, within = divmod(piece, self.per_bank)
        name = f"{stream}_{block}"
        return self.job.banked[self.job.label(name)].text if within else self.job.bank(name)

    def enter(self, stream: str) -> None:
        """Code before the loop over pieces, where each bank begins. HL stays, A, BC, DE do not."""
        table, stays = self.job.label(f"{stream}_banks"), "push bc\nexx\npop hl\nexx"
        self._write_table(stream, table)
        self.job.at_most(f"{table}_next", -(-self.pieces // self.per_bank))
        self.job.code.emit(f"""
            ld de,{table}
            ld ({self._state}),de
        {table}_next:
            ex de,hl
            ld hl,({self._state})
            ld a,(hl)
            ld ({self._state}+2),a
            inc hl
            ld a,(hl)
            ld ({self.banks.register.origin:#x}),a           ; the bank shows
            inc hl
            ld c,(hl)
            inc hl
            ld b,(hl)
            inc hl
            ld ({self._state}),hl
            {f"ld h,b{chr(10)}ld l,c{chr(10)}ld sp,hl" if self.streams else stays}
            ex de,hl
        """)

    def leave(self, stream: str, loop: str, end: str) -> None:
        """Code at the end of the loop, which ends where HL is at an address. HL stays."""
        self.job.code.emit(f"""
            ex de,hl
            ld hl,{self._state}+2
            dec (hl)
            ex de,hl
            jp nz,{loop}
        """)
        jump_unless_at(self.job.code, end, self.job.label(f"{stream}_banks_next"))

    def _write_table(self, stream: str, table: str) -> None:
        out = self.job.consts
        out.emit(f"{table}:")
        for block, first in enumerate(range(0, self.pieces, self.per_bank)):
            symbol = self.job.label(f"{stream}_{block}")
            count = min(self.pieces - first, self.per_bank) % _MOST
            out.emit(f".byte {count}, {bank_of(symbol)}\n.word {symbol}")
