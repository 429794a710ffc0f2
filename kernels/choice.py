"""How one layer's weights are held: the compiler's decision, or the user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AGAIN = "again"  # the label of a layer where it goes on from kept sums


@dataclass(frozen=True, slots=True)
class Choice:
    """An encoding, and what a profile-guided one is told of the inputs.

    Inputs are those of the graph that `kernels.compile.lower` gives, in its order.
    hot: inputs, ascending, whose columns an encoding that knows two forms keeps in the faster and
    larger one; encodings with one form ignore it. rates: how often each input is not zero, from 0
    to 1; empty where that is not known. kept: how many of the first inputs may stay as they are
    from one inference to the next, so that a kernel keeps their sums (`Program.again`).
    """

    encoding: str
    hot: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    kept: int = 0

    def __str__(self) -> str:
        if self.hot:
            return f"{self.encoding} ({len(self.hot)} hot)"
        return f"{self.encoding} (profiled)" if self.rates else self.encoding


Choices = Mapping[str, str | Choice]  # by layer's name; a plain string is the encoding's name


def as_choice(wanted: str | Choice) -> Choice:
    """An encoding's name as a choice."""
    return Choice(wanted) if isinstance(wanted, str) else wanted
