"""A piece of the image to be: a part, and the text that fills it."""

from __future__ import annotations

from dataclasses import dataclass

from kernels.asm import Assembly
from kernels.image import Part


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """One part with its text, which may begin a few bytes into the part, to be aligned.

    symbol: a name for the text's first byte, if it needs one.
    """

    part: Part
    text: Assembly
    symbol: str | None

    @property
    def end(self) -> int:
        """The first address behind the part."""
        return self.part.address + self.part.size

    @property
    def start(self) -> int:
        """Address of the text's first byte."""
        return self.part.address + self.part.size - self.text.size
