"""Weight encodings: one file each, with `problem`, `encode` and `decode`; no instruction set here.

An encoding owns the layout that its kernels stream through, so `decode(encode(w))` must give back
every weight. Modules are found by their place in this folder; `name` is what users write.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from kernels.errors import Unsupported


class Encoding(Protocol):
    """What the module of an encoding offers to the choice of encodings.

    RANK: where several serve and the user does not say, the lowest is taken.
    """

    NAME: str
    RANK: int

    def problem(self, weights: NDArray[np.int8], accumulator_bits: int) -> str | None:
        """Why it does not serve a matrix, int8 (out, in), and its accumulators; None if it does."""


@cache
def encodings() -> dict[str, Encoding]:
    """Every encoding by name."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
    found = cast("list[Encoding]", modules)
    return {encoding.NAME: encoding for encoding in found}


def find_encoding(name: str) -> Encoding:
    """The encoding of that name; Unsupported lists the names that exist."""
    if name not in encodings():
        raise Unsupported(f"unknown encoding {name!r}; known encodings: {', '.join(encodings())}")
    return encodings()[name]
