"""A road: code that goes on from bank to bank, or all of it in one place where there are none.

Within a bank pieces fall into each other. From bank to bank leads a hop in bank 0, 40 T and 13
bytes, since no code selects a bank in the window that it runs in. Clobbers A.
"""

from __future__ import annotations

from kernels.asm import Assembly
from kernels.emit import Job, bank_of

_JUMP = 3  # bytes


class Road:
    """One stretch of a layer's code; entered where it is made, left where `close` is called."""

    def __init__(self, job: Job, name: str) -> None:
        self._job, self._name, self._number = job, name, 0
        self._bank: Assembly | None = None

    def add(self, piece: Assembly) -> None:
        """Go on with a piece, which no bank's end divides."""
        banks = self._job.target.banks
        if banks is None:
            self._job.code.append(piece)
            return
        if self._bank is None or self._bank.size + piece.size + _JUMP > banks.size:
            self.close()
            name = f"{self._name}{self._number}"
            self._bank = self._job.bank(name, code=True)
            symbol = self._job.label(name)
            self._job.code.emit(f"""
                ld a,{bank_of(symbol)}
                ld ({banks.register.origin:#x}),a           ; the bank shows
                jp {symbol}
            """)
            self._number += 1
        self._bank.append(piece)

    def close(self) -> None:
        """Go on in the layer's own code."""
        if self._bank is not None:
            end = self._job.label(f"{self._name}{self._number - 1}_end")
            self._bank.emit(f"jp {end}")
            self._job.code.emit(f"{end}:")
            self._bank = None
