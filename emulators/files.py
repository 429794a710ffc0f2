"""Programs of either machine from files: Intel HEX, ELF, raw binaries, and CP/M's .com.

A file may be anything: whatever is wrong with it gives one EmulatorError, a line that names the
file and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from emulators.base import EmulatorError

LARGEST_FILE: Final = 16 << 20
LARGEST_PROGRAM: Final = 1 << 20  # bytes, of all segments; no device has more
COM_ORIGIN: Final = 0x100
_MACHINES = {"EM_AVR", "EM_Z80", 220}
_MOST_SYMBOLS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class ProgramFile:
    """What a file holds. segments: (address, bytes), in order, apart from each other.

    entry: where to begin, None where the format does not tell. symbols: addresses by name; of an
    AVR's ELF file those of data memory begin at 0x800000.
    """

    segments: tuple[tuple[int, bytes], ...]
    entry: int | None = None
    symbols: Mapping[str, int] = field(default_factory=dict)


class _BadFileError(Exception):
    """What was expected of the file."""


def read_program(path: Path, *, origin: int = 0) -> ProgramFile:
    """Read a .hex, .ihx, .elf, .bin or .com file; `origin`: where a .bin belongs."""
    readers: dict[str, Callable[[bytes], ProgramFile]] = {
        ".hex": _hex,
        ".ihx": _hex,
        ".elf": _elf,
        ".bin": lambda data: ProgramFile(((origin, data),)),
        ".com": lambda data: ProgramFile(((COM_ORIGIN, data),), COM_ORIGIN),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise EmulatorError(f"{path}: expected one of {', '.join(readers)}")
    try:
        return _checked(reader(_content(path)))
    except _BadFileError as error:
        raise EmulatorError(f"{path}: expected {error}") from None
    except OSError as error:
        raise EmulatorError(f"{path}: expected a readable file: {error.strerror}") from None


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise _BadFileError("a file")
    with path.open("rb") as stream:
        data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise _BadFileError(f"no more than {LARGEST_FILE} bytes")
    return data


def _checked(program: ProgramFile) -> ProgramFile:
    """Sort the segments and join those that touch."""
    joined: list[tuple[int, bytearray]] = []
    for address, data in sorted(program.segments):
        end = joined[-1][0] + len(joined[-1][1]) if joined else -1
        if not data:
            continue
        if address < end:
            raise _BadFileError(f"segments that do not overlap, as they do at {address:#x}")
        if address == end:
            joined[-1][1].extend(data)
        else:
            joined.append((address, bytearray(data)))
    size = sum(len(data) for _, data in joined)
    if not 0 < size <= LARGEST_PROGRAM:
        raise _BadFileError(f"a program of 1 to {LARGEST_PROGRAM} bytes, not of {size}")
    segments = tuple((address, bytes(data)) for address, data in joined)
    return ProgramFile(segments, program.entry, program.symbols)


# ---- Intel HEX --------------------------------------------------------------------------------

_DATA, _END, _SEGMENT, _SEGMENT_ENTRY, _LINEAR, _LINEAR_ENTRY = range(6)
_SIZES = {_END: 0, _SEGMENT: 2, _SEGMENT_ENTRY: 4, _LINEAR: 2, _LINEAR_ENTRY: 4}


def _record(line: bytes, number: int) -> tuple[int, int, bytes]:
    """Give type, address and data of one line."""
    try:
        if not line.startswith(b":") or b" " in line:
            raise ValueError
        raw = bytes.fromhex(line[1:].decode("ascii"))
    except ValueError:
        raise _BadFileError(
            f"an Intel HEX record, a colon and pairs of digits, in line {number}"
        ) from None
    if len(raw) < 5 or len(raw) != raw[0] + 5:
        raise _BadFileError(f"as many bytes as line {number} announces")
    if sum(raw) % 256:
        raise _BadFileError(
            f"a checksum of {-sum(raw[:-1]) % 256:#04x} in line {number}, not {raw[-1]:#04x}"
        )
    kind = raw[3]
    if kind != _DATA and _SIZES.get(kind) != raw[0]:
        raise _BadFileError(f"a record of type 0 to 5 and its size in line {number}")
    return kind, int.from_bytes(raw[1:3], "big"), raw[4:-1]


def _hex(content: bytes) -> ProgramFile:
    segments: list[tuple[int, bytes]] = []
    base, entry, ended = 0, None, False
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        if ended:
            raise _BadFileError(f"nothing after the end record, as there is in line {number}")
        kind, address, data = _record(line.strip(), number)
        value = int.from_bytes(data, "big")
        if kind == _DATA:
            segments.append((base + address, data))
        elif kind in (_SEGMENT, _LINEAR):
            base = value << (4 if kind == _SEGMENT else 16)
        elif kind == _LINEAR_ENTRY:
            entry = value
        elif kind == _SEGMENT_ENTRY:
            entry = (value >> 16 << 4) + (value & 0xFFFF)
        ended = kind == _END
    if not ended:
        raise _BadFileError("an end record, :00000001FF")
    return ProgramFile(tuple(segments), entry)


# ---- ELF --------------------------------------------------------------------------------------


def _elf(content: bytes) -> ProgramFile:
    try:
        return _elf_program(content)
    except _BadFileError:
        raise
    except Exception as error:  # the library raises what it likes on a corrupted file
        raise _BadFileError(f"an intact ELF file ({type(error).__name__})") from None


def _elf_program(content: bytes) -> ProgramFile:
    try:
        elf = ELFFile(BytesIO(content))
    except ELFError:
        raise _BadFileError("an ELF file") from None
    if elf.elfclass != 32 or not elf.little_endian or elf["e_machine"] not in _MACHINES:
        raise _BadFileError("an ELF file for AVR or Z80")
    if elf["e_type"] != "ET_EXEC":
        raise _BadFileError("a linked program, not an object file")
    _check_table(content, elf, "e_ph", "program headers")
    _check_table(content, elf, "e_sh", "section headers")
    segments = [
        (header["p_paddr"], _slice(content, header["p_offset"], header["p_filesz"]))
        for header in (segment.header for segment in elf.iter_segments())
        if header["p_type"] == "PT_LOAD" and header["p_filesz"]
    ]
    return ProgramFile(tuple(segments), elf["e_entry"], _symbols(content, elf))


def _check_table(content: bytes, elf: Any, prefix: str, what: str) -> None:
    """Make sure that the table lies within the file, before the library walks it."""
    count, size = elf[f"{prefix}num"], elf[f"{prefix}entsize"]
    expected = 32 if prefix == "e_ph" else 40
    if count and size != expected:
        raise _BadFileError(f"{what} of {expected} bytes")
    if count == 0 and elf[f"{prefix}off"]:
        raise _BadFileError(f"a number of {what}")
    _slice(content, elf[f"{prefix}off"], count * size)


def _slice(content: bytes, start: int, size: int) -> bytes:
    if start + size > len(content):
        raise _BadFileError(f"{size} bytes at offset {start} of the file, which has {len(content)}")
    return content[start : start + size]


def _symbols(content: bytes, elf: Any) -> dict[str, int]:
    table = elf.get_section_by_name(".symtab") if elf["e_shnum"] else None
    if not isinstance(table, SymbolTableSection):
        return {}
    for section in (table, table.stringtable):
        _slice(content, section["sh_offset"], section["sh_size"])
    if table["sh_entsize"] != 16 or table.num_symbols() > _MOST_SYMBOLS:
        raise _BadFileError(f"a table of at most {_MOST_SYMBOLS} symbols of 16 bytes")
    return {
        symbol.name: symbol["st_value"]
        for symbol in table.iter_symbols()
        if symbol.name and symbol["st_shndx"] != "SHN_UNDEF"
    }
