"""Results kept under a name, to compare later runs with: one file per benchmark.

A file holds figures only, no date and no commit: the same results give the same bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.record import SCHEMA
from harness.result import Result

FOLDER = Path(".truecycle")
"""Where names lie if nothing else is said, in pytest's root or the current folder."""


@dataclass(frozen=True, slots=True)
class SavedRun:
    """The results of a run, in a folder."""

    folder: Path

    @classmethod
    def named(cls, name: str, storage: Path) -> SavedRun:
        """The run of that name in a storage folder. Raises HarnessError for what is no name."""
        if not re.fullmatch(r"[\w.+-]*\w[\w.+-]*", name):
            raise HarnessError(f"{name!r} is no name: use letters, digits and any of _.+-")
        return cls(storage / name)

    @property
    def exists(self) -> bool:
        """Whether anything was saved."""
        return any(self.folder.glob("*.json"))

    def save(self, results: Sequence[Result]) -> int:
        """Write a file for each benchmark, replacing those that are there; how many that were."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ordered = sorted(results, key=lambda result: result.benchmark)
        files = 0
        for benchmark, group in groupby(ordered, key=lambda result: result.benchmark):
            document = {
                "schema": SCHEMA,
                "benchmark": benchmark,
                "results": [_without_name(result) for result in group],
            }
            text = json.dumps(document, indent=1) + "\n"
            self.path(benchmark).write_text(text, encoding="utf-8")
            files += 1
        return files

    def load(self, benchmark: str) -> list[Result]:
        """What was saved of a benchmark, or nothing. HarnessError for files of another kind."""
        path = self.path(benchmark)
        return read_results(path.read_text(encoding="utf-8"), path) if path.is_file() else []

    def path(self, benchmark: str) -> Path:
        """The benchmark's file."""
        return self.folder / f"{re.sub(r'[^A-Za-z0-9_.+-]+', '-', benchmark).strip('-')}.json"

    def all(self) -> Iterable[Result]:
        """Everything that was saved, by the names of the files."""
        for path in sorted(self.folder.glob("*.json")):
            yield from read_results(path.read_text(encoding="utf-8"), path)


def _without_name(result: Result) -> dict[str, Any]:
    flat = result.flat()
    del flat["benchmark"]
    return flat


def read_results(text: str, path: Path) -> list[Result]:
    """The results in a file's text. `path` is for the message of a HarnessError."""
    try:
        document = json.loads(text)
        if document["schema"] != SCHEMA:
            raise HarnessError(
                f"{path} has schema {document['schema']}, not {SCHEMA}: record it again"
            )
        name = {"benchmark": document["benchmark"]}
        return [Result.from_flat(stored | name) for stored in document["results"]]
    except (ValueError, KeyError, TypeError) as error:
        raise HarnessError(f"{path} holds no saved results: {error!r}") from None
