"""threaded-words: threaded lists of outputs whose sums lie as words, 128 to a page.

Per input column and page a run of outputs that add, then one that subtracts, be it empty; a row's
index is where its word begins in its page. Columns end with the last page that they reach. As in
threaded lists a pair of bytes that ends within a run brings the next run's first index, even
from page to page, and long runs are parted.

For weights in {-2..2}; an output stands twice where its weight is 2 or -2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.encodings.threaded_lists import Column, Run, problem

__all__ = ["NAME", "PAGE", "RANK", "Column", "decode", "encode", "problem"]

NAME = "threaded-words"
RANK = 4
PAGE = 128  # rows
_WORD = 2


@dataclass(frozen=True, slots=True)
class _Part:
    """Outputs of a run to be. onward: the next run's are on the next page."""

    sign: int
    indices: tuple[int, ...]
    onward: bool


def encode(weights: NDArray[np.int8], longest: int) -> list[Column]:
    """Columns of rows as they lie, int8 (rows, inputs); runs of at most `longest`, even."""
    return [_runs(_parts(column, longest)) for column in weights.T.astype(np.int16)]


def decode(columns: list[Column], outputs: int) -> NDArray[np.int8]:
    """That many rows back, int8 (outputs, inputs)."""
    weights = np.zeros((outputs, len(columns)), np.int8)
    for number, column in enumerate(columns):
        held: tuple[int, ...] = ()
        page = 0
        for run in column:
            indices = (held if run.held else ()) + run.data
            rows = [PAGE * page + index // _WORD for index in indices[: run.events]]
            np.add.at(weights[:, number], rows, run.sign)
            held = indices[run.events :]
            page += run.onward
    return weights


def _parts(weights: NDArray[np.int16], longest: int) -> list[_Part]:
    """What adds, if anything, and what subtracts, of each page up to the last one reached."""
    reached = np.flatnonzero(weights)
    pages = reached[-1] // PAGE + 1 if reached.size else 1
    parts: list[_Part] = []
    for page in range(pages):
        own = weights[PAGE * page : PAGE * (page + 1)]
        for sign in (1, -1):
            events = np.repeat(np.arange(len(own)) * _WORD, np.maximum(sign * own, 0)).tolist()
            while len(events) > longest:
                parts.append(_Part(sign, tuple(events[:longest]), onward=False))
                events = events[longest:]
            if events or sign < 0:
                parts.append(_Part(sign, tuple(events), onward=sign < 0 and page + 1 < pages))
    return parts


def _runs(parts: list[_Part]) -> Column:
    """The parts with their data: whole pairs, but at the column's end."""
    runs = list[Run]()
    held = False
    for part, behind in zip(parts, [*parts[1:], None], strict=True):
        events, last = len(part.indices), behind is None
        data = part.indices[1:] if held else part.indices
        odd = len(data) % 2 == 1 and behind is not None
        ahead = behind.indices[:1] if odd and behind else ()
        filler = (ahead or (0,)) if odd else ()
        runs.append(Run(part.sign, events, held, last, (*data, *filler), part.onward))
        held = bool(ahead)
    return tuple(runs)
