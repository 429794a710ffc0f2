"""The files that a program is written to; a new kind is one record here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import HarnessError
from harness.listing import list_program
from kernels.image import Program
from kernels.toolchain import executable, intel_hex


def _elf(program: Program) -> bytes:
    data = executable(program.source, program.target)
    if not data.startswith(b"\x7fELF"):
        raise HarnessError(f"the linker for {program.target.name} makes no ELF: write .bin or .hex")
    return data


def _com(program: Program) -> bytes:
    if program.image.origin != 0x100 or not program.target.unified:
        raise HarnessError(f".com is for CP/M; for {program.target.name} write .bin or .hex")
    return program.image.data


def _rom(program: Program) -> bytes:
    banks = program.target.banks
    if banks is None:
        raise HarnessError(f"{program.target.name} has no banks of ROM: write .bin or .hex")
    whole = -(-program.flash // banks.size) * banks.size
    return program.image.data.ljust(whole, b"\xff")


def _listing(program: Program) -> bytes:
    return "".join(f"{line}\n" for line in list_program(program)).encode()


IMAGE_FILES: dict[str, Callable[[Program], bytes]] = {
    ".hex": lambda p: intel_hex(p.image.data, p.image.origin, p.target).encode(),
    ".bin": lambda p: p.image.data,
    ".elf": _elf,
    ".com": _com,
    ".rom": _rom,
    ".lst": _listing,
    ".s": lambda p: p.source.encode(),
}
"""By ending: Intel HEX, plain bytes, ELF with symbols, CP/M's command, banks, listing, source."""


def write_image(program: Program, path: Path) -> None:
    """Write the file of the kind that the path's ending says; HarnessError where it cannot be."""
    path.write_bytes(IMAGE_FILES[path.suffix](program))
