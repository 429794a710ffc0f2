"""What was measured once is kept on disk: JSON, named by the hash of all that it depends on.

Files are written whole and then renamed, so processes may share a cache. A file that is damaged,
or is not what its reader expects, counts as missing and is written again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

T = TypeVar("T")

_VARIABLE = "TRUECYCLE_CACHE"


def default_folder() -> Path:
    """`$TRUECYCLE_CACHE`, or truecycle's folder among the user's caches."""
    if named := os.environ.get(_VARIABLE):
        return Path(named)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "truecycle"


class Cache:
    """JSON by key in a folder; `hits` and `misses` count what was asked for."""

    def __init__(self, folder: Path | None = None) -> None:
        """Without a folder, the user's."""
        self.folder = folder or default_folder()
        self.hits = self.misses = 0

    def get(self, key: str, make: Callable[[], Any], read: Callable[[Any], T]) -> T:
        """What is kept under a key, as `read` understands it; made anew where there is none.

        read: raises KeyError, TypeError or ValueError for JSON that is not as expected.
        """
        path = self.folder / key[:2] / f"{key}.json"
        with suppress(OSError, KeyError, TypeError, ValueError):
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["key"] == key:
                found = read(document["value"])
                self.hits += 1
                return found
        self.misses += 1
        value = make()
        with suppress(OSError):  # a cache that cannot be written is slow, not wrong
            _write(path, json.dumps({"key": key, "value": value}))
        return read(value)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).replace(path)
