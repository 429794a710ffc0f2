"""Results to files: JSON with schema, commit and tool versions, and CSV."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from emulators.simavr import LIBRARY_VERSION
from harness.errors import HarnessError
from harness.record import SCHEMA, Record
from kernels import toolchain

_PACKAGES = ("truecycle", "numpy", "torch", "z80")


STANDARD_OUTPUT = Path("-")


def check_writable(path: Path) -> None:
    """Raise HarnessError where no file can be; to be called before measuring."""
    if path != STANDARD_OUTPUT and (path.is_dir() or not path.resolve().parent.is_dir()):
        raise HarnessError(f"{path} cannot be written: give a file in an existing folder")


def write_json(path: Path, records: Sequence[Record]) -> None:
    """A document with the key `records`."""
    write_document(path, {"records": [record.flat() for record in records]})


def write_document(path: Path, content: Mapping[str, Any]) -> None:
    """One object: `schema`, `created`, `commit`, `tools` and the content; `-` is standard output.

    Only `created` differs between two runs of the same code with the same tools.
    """
    document = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "tools": tools(),
        **content,
    }
    text = json.dumps(document, indent=1) + "\n"
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        path.write_text(text, encoding="utf-8")


def write_csv(path: Path, records: Sequence[Record]) -> None:
    """A row per record, with schema, commit and tools as its last columns."""
    import pandas as pd  # noqa: PLC0415 - half a second, which each start of pytest would pay

    table = pd.DataFrame([record.flat() for record in records], columns=list(_fields()))
    for column, kind in _fields().items():
        if "int" in kind:
            table[column] = table[column].astype("Int64")
    table["schema"] = SCHEMA
    table["commit"] = commit()
    table["tools"] = " ".join(f"{name}={number}" for name, number in tools().items())
    table.to_csv(path, index=False)


def commit() -> str | None:
    """The commit checked out in the current folder, with `+` if files differ; None outside git."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def tools() -> dict[str, str]:
    """Versions of everything that can change a figure."""
    found = {"python": platform.python_version(), "simavr": LIBRARY_VERSION}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # used from a source tree that is not installed
            continue
    return found | toolchain.versions()


def _fields() -> dict[str, Any]:
    return {name: field.type for name, field in Record.__dataclass_fields__.items()}
