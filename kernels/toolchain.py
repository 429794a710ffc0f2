"""GNU as and ld: assembly text in, bytes and symbols out."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from kernels.errors import CompilerError
from kernels.target import Target

_PREFIXES = {"avr": ("avr-",), "z80": ("z80-unknown-coff-", "z80-unknown-elf-", "z80-elf-")}
_PACKAGES = {"avr": "binutils-avr", "z80": "binutils-z80"}


class ToolchainError(CompilerError):
    """A tool is missing, or refused the program; the message ends with what it printed."""


@dataclass(frozen=True, eq=False, slots=True)
class Linked:
    """Bytes from the first address of code memory on, and the addresses of symbols in them."""

    data: bytes
    symbols: dict[str, int]


def assemble(source: str, target: Target) -> Linked:
    """Assemble and link one source whose text begins at address 0 and skips to code memory."""
    with _linked(source, target) as folder:
        _run(target, folder, "objcopy", "-O", "binary", "-j", ".text", "program.out", "program.bin")
        symbols = _run(target, folder, "nm", "program.out")
        data = (folder / "program.bin").read_bytes()[target.code.origin :]
        return Linked(data, _parse_symbols(symbols))


def executable(source: str, target: Target) -> bytes:
    """The linked file with its symbols, in the linker's format: ELF, or COFF."""
    with _linked(source, target) as folder:
        return (folder / "program.out").read_bytes()


def intel_hex(data: bytes, origin: int, target: Target) -> str:
    """Bytes from an address on as Intel HEX."""
    with TemporaryDirectory(prefix="truecycle-") as name:
        folder = Path(name)
        (folder / "program.bin").write_bytes(data)
        at = f"--change-addresses={origin:#x}"
        _run(target, folder, "objcopy", "-I", "binary", "-O", "ihex", at, "program.bin", "out.hex")
        return (folder / "out.hex").read_text()


def line_addresses(source: str, target: Target) -> dict[int, int]:
    """The address of each line of a source that becomes bytes, by the line's number from 1."""
    with TemporaryDirectory(prefix="truecycle-") as name:
        folder = Path(name)
        (folder / "program.s").write_text(source)
        listing = ("-aln", "--listing-lhs-width=1", "--listing-cont-lines=0")
        text = _run(target, folder, "as", *target.assembler, *listing, "-o", "out.o", "program.s")
    rows = re.findall(r"^ *(\d+) ([0-9a-fA-F]{4,}) ", text, re.MULTILINE)
    return {int(number): int(address, 16) for number, address in rows}


@cache
def versions() -> dict[str, str]:
    """Version of each assembler, for records of results; a missing one is left out."""
    found = {}
    for isa in _PREFIXES:
        try:
            command = [_tool(isa, "as"), "--version"]
        except ToolchainError:
            continue
        first = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found[f"binutils-{isa}"] = first.splitlines()[0].rpartition(" ")[2]
    return found


@contextmanager
def _linked(source: str, target: Target) -> Iterator[Path]:
    """A folder with `program.out`, gone afterwards."""
    with TemporaryDirectory(prefix="truecycle-") as name:
        folder = Path(name)
        (folder / "program.s").write_text(source)
        _run(target, folder, "as", *target.assembler, "-o", "program.o", "program.s")
        linking = (*target.linker, "-Ttext=0", "-e", "infer", "-o", "program.out")
        _run(target, folder, "ld", *linking, "program.o")
        yield folder


@cache
def _tool(isa: str, name: str) -> str:
    for prefix in _PREFIXES[isa]:
        path = shutil.which(prefix + name)
        if path:
            return path
    tried = " or ".join(prefix + name for prefix in _PREFIXES[isa])
    raise ToolchainError(f"{tried} is not installed: install {_PACKAGES[isa]}")


def _run(target: Target, folder: Path, tool: str, *arguments: str) -> str:
    command = [_tool(target.isa, tool), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolchainError(f"{tool} failed for {target.name}:\n{done.stderr.strip()}")
    return done.stdout


def _parse_symbols(text: str) -> dict[str, int]:
    """Labels of the text section; absolute symbols are no places in the program."""
    rows = (line.split() for line in text.splitlines())
    return {row[2]: int(row[0], 16) for row in rows if len(row) == 3 and row[1] in "tT"}
