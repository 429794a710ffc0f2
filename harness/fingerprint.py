"""A hash of what a result depends on: records, arrays, and the sources that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

_ROOT = Path(__file__).parent.parent
_MEASURED = (
    "kernels/**/*.py",
    "emulators/*",
    "harness/costs.py",
    "harness/run.py",
    "harness/worst_case.py",
)
_CHOOSING = (*_MEASURED, "harness/*.py")


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def fingerprint(*parts: Any) -> str:
    """Hex digits that differ wherever parts differ.

    Parts may be records, arrays, mappings, sequences, sets of strings, numbers, strings and None.
    Raises TypeError for anything else.
    """
    digest = hashlib.sha256()
    _add(digest, parts)
    return digest.hexdigest()


def sources() -> str:
    """The fingerprint of the code that decides how many cycles a layer takes, or can take."""
    return _code(_MEASURED)


def choosing_sources() -> str:
    """The fingerprint of the same and of the code that chooses a plan by that."""
    return _code(_CHOOSING)


@cache
def _code(patterns: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(_ROOT.glob(pattern)):
            if path.is_file():
                _add(digest, (path.relative_to(_ROOT).as_posix(), path.read_bytes()))
    return digest.hexdigest()


def _add(digest: _Hash, part: Any) -> None:
    if isinstance(part, np.ndarray):
        digest.update(f"array {part.dtype.str} {part.shape} ".encode())
        digest.update(np.ascontiguousarray(part).tobytes())
    elif is_dataclass(part) and not isinstance(part, type):
        digest.update(f"{type(part).__name__}(".encode())
        for field in fields(part):
            digest.update(f"{field.name}=".encode())
            _add(digest, getattr(part, field.name))
        digest.update(b")")
    elif isinstance(part, Mapping):
        _add(digest, sorted(part.items()))
    elif isinstance(part, frozenset | set):
        _add(digest, sorted(part))
    elif isinstance(part, list | tuple):
        digest.update(f"[{len(part)} ".encode())
        for item in part:
            _add(digest, item)
    elif isinstance(part, bytes):
        digest.update(f"bytes {len(part)} ".encode() + part)
    elif part is None or isinstance(part, str | int | float | np.integer):
        digest.update(f"{type(part).__name__} {part!r} ".encode())
    else:
        raise TypeError(f"no fingerprint of {type(part).__name__}")
