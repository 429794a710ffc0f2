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

from kernels.dtypes import DType
from kernels.errors import Unsupported


class Encoding(Protocol):
    """What the module of an encoding offers to the choice of encodings.

    RANK: where several serve and the user does not say, the lowest is taken.
    """

    NAME: str
    RANK: int

    def problem(
        self, weights: NDArray[np.int8], accumulator_bits: int, source: DType
    ) -> str | None:
        """Why it does not serve a matrix, int8 (out, in), its accumulators, and inputs of a type.

        The answer, which continues a sentence that begins with the encoding's name, is None if it
        does.
        """


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


def outside(weights: NDArray[np.int8], held: range) -> str | None:
    """The problem of weights that are not all in a range."""
    if weights.min() not in held or weights.max() not in held:
        return f"cannot hold weights of [{weights.min()}, {weights.max()}]"
    return None


def not_binary(weights: NDArray[np.int8]) -> str | None:
    """The problem of weights that are not all -1 or 1."""
    if np.any(np.abs(weights.astype(np.int16)) != 1):
        return f"holds weights of -1 and 1 alone, not {weights[np.abs(weights) != 1][0]}"
    return None


def reads_bytes(source: DType) -> str | None:
    """The problem of inputs that are packed."""
    return f"reads inputs of whole bytes, not of {source}" if source.packed else None
