"""Program files: what a linker writes, and what a hostile hand makes of it."""

import random
import resource
import struct
import subprocess
import time
from pathlib import Path

import pytest

from emulators.base import EmulatorError, StopReason
from emulators.files import LARGEST_FILE, ProgramFile, read_program
from emulators.simavr import SimAvr

SOURCE = """
        .global main, table
        .text
main:   ldi r30, lo8(table)
        ldi r31, hi8(table)
        lpm r0, Z
        ret
table:  .byte 1, 2, 3, 4
        .data
        .global counter
counter: .byte 7
"""


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same program as .elf, .hex and .bin."""
    folder = tmp_path_factory.mktemp("linked")
    (folder / "a.s").write_text(SOURCE)
    for command in (
        ["avr-as", "-mmcu=avr5", "-o", "a.o", "a.s"],
        ["avr-ld", "-m", "avr5", "-e", "main", "-o", "a.elf", "a.o"],
        ["avr-objcopy", "-O", "ihex", "a.elf", "a.hex"],
        ["avr-objcopy", "-O", "binary", "a.elf", "a.bin"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return {path.suffix: path for path in folder.glob("a.*")}


def test_formats_agree(linked: dict[str, Path]) -> None:
    from_elf = read_program(linked[".elf"])
    assert from_elf.segments == read_program(linked[".hex"]).segments
    assert from_elf.segments == read_program(linked[".bin"]).segments
    assert from_elf.segments[0][1][-2:] == b"\x07\0"
    assert from_elf.entry == 0
    symbols = {name: from_elf.symbols[name] for name in ("main", "table", "counter")}
    assert symbols == {"main": 0, "table": 8, "counter": 0x800060}


def test_what_was_read_runs(linked: dict[str, Path]) -> None:
    program = read_program(linked[".elf"])
    avr = SimAvr("atmega328p")
    avr.load(program.segments)
    result = avr.call(program.symbols["main"], limit=99, stack=0x8FF, stack_floor=0x800)
    assert (result.reason, result.cycles) == (StopReason.RETURNED, 1 + 1 + 3 + 4)


def test_com_begins_at_0x100(tmp_path: Path) -> None:
    path = tmp_path / "A.COM"
    path.write_bytes(b"\xc9")
    assert read_program(path) == ProgramFile(((0x100, b"\xc9"),), 0x100)


def test_bin_begins_where_told(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\xc9")
    assert read_program(path, origin=0x8000).segments == ((0x8000, b"\xc9"),)


def record(kind: int, address: int, data: bytes) -> str:
    raw = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return ":" + (raw + bytes([-sum(raw) % 256])).hex().upper() + "\n"


END = record(1, 0, b"")


def read_hex(folder: Path, text: str) -> ProgramFile:
    path = folder / "a.hex"
    path.write_text(text)
    return read_program(path)


def test_hex_joins_and_sorts(tmp_path: Path) -> None:
    text = record(0, 0x12, b"cd") + record(0, 0x10, b"ab") + record(0, 0x20, b"e") + END
    assert read_hex(tmp_path, text).segments == ((0x10, b"abcd"), (0x20, b"e"))


@pytest.mark.parametrize(
    ("kind", "data", "base"), [(2, b"\x10\x00", 0x10000), (4, b"\x00\x03", 0x30000)]
)
def test_hex_of_more_than_64_kib(tmp_path: Path, kind: int, data: bytes, base: int) -> None:
    text = record(kind, 0, data) + record(0, 4, b"ab") + END
    assert read_hex(tmp_path, text).segments == ((base + 4, b"ab"),)


@pytest.mark.parametrize(
    ("kind", "data", "entry"), [(3, b"\x10\x00\x00\x04", 0x10004), (5, b"\0\1\2\3", 0x10203)]
)
def test_hex_entry(tmp_path: Path, kind: int, data: bytes, entry: int) -> None:
    assert read_hex(tmp_path, record(0, 0, b"a") + record(kind, 0, data) + END).entry == entry


GOOD = record(0, 0, b"ab")
BAD_HEX = {
    "no end": (GOOD, "end record"),
    "after the end": (GOOD + END + GOOD, "nothing after"),
    "checksum": (GOOD.replace("6162", "6163") + END, "checksum of 0x3a in line 1, not 0x3b"),
    "short": (GOOD[:-3] + "\n" + END, "as many bytes"),
    "not hex": (":0G\n" + END, "Intel HEX"),
    "no colon": (GOOD[1:] + END, "Intel HEX"),
    "unknown type": (record(6, 0, b"") + END, "type 0 to 5"),
    "wrong size": (record(4, 0, b"a") + END, "type 0 to 5"),
    "overlap": (GOOD + record(0, 1, b"c") + END, "overlap"),
    "empty": ("", "end record"),
    "no data": (END, "1 to 1048576 bytes"),
}


@pytest.mark.parametrize("name", BAD_HEX)
def test_bad_hex(tmp_path: Path, name: str) -> None:
    text, expected = BAD_HEX[name]
    with pytest.raises(EmulatorError, match=expected) as error:
        read_hex(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path / 'a.hex'}: expected ")


def patched(linked: dict[str, Path], folder: Path, offset: int, form: str, value: int) -> Path:
    content = bytearray(linked[".elf"].read_bytes())
    struct.pack_into(form, content, offset, value)
    path = folder / "bad.elf"
    path.write_bytes(content)
    return path


BAD_ELF = {
    "magic": (0, "<B", 0, "an ELF file"),
    "machine": (18, "<H", 62, "AVR or Z80"),
    "type": (16, "<H", 1, "linked program"),
    "many program headers": (44, "<H", 0xFFFF, "bytes at offset"),
    "far program headers": (28, "<I", 0xFFFFFFF0, "bytes at offset"),
    "small program headers": (42, "<H", 0, "headers of 32 bytes"),
    "many section headers": (48, "<H", 0xFFFF, "bytes at offset"),
    "extended section count": (48, "<H", 0, "number of section headers"),
    "huge segment": (52 + 16, "<I", 0xFFFFFFFF, "4294967295 bytes at offset"),
    "far segment": (52 + 4, "<I", 0xFFFFFFFF, "at offset 4294967295"),
    "overlap": (52 + 32 + 12, "<I", 2, "overlap"),
}


@pytest.mark.parametrize("name", BAD_ELF)
def test_bad_elf(linked: dict[str, Path], tmp_path: Path, name: str) -> None:
    offset, form, value, expected = BAD_ELF[name]
    with pytest.raises(EmulatorError, match=expected):
        read_program(patched(linked, tmp_path, offset, form, value))


def test_not_a_file(tmp_path: Path) -> None:
    for path, expected in (
        (tmp_path / "a.txt", "one of .hex"),
        (tmp_path / "none.hex", "a file"),
        (tmp_path, "one of"),
    ):
        with pytest.raises(EmulatorError, match=expected):
            read_program(path)
    (tmp_path / "a.bin").mkdir()
    with pytest.raises(EmulatorError, match="a file"):
        read_program(tmp_path / "a.bin")


def test_huge_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with path.open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    with pytest.raises(EmulatorError, match="no more than"):
        read_program(path)


def corrupted(draw: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 8])):
        at = draw.randrange(len(changed))
        # Headers are at the front; large values are the dangerous ones.
        at = draw.choice([at, at % 0x80])
        changed[at] = draw.choice([0, 0xFF, 0x7F, draw.randrange(256)])
    return bytes(changed[: draw.randrange(len(changed))] if draw.random() < 0.2 else changed)


@pytest.mark.parametrize("suffix", [".elf", ".hex"])
def test_corrupted_files(linked: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    """A program or one line of error, soon, and without much memory."""
    draw = random.Random(suffix)
    content = linked[suffix].read_bytes()
    path = tmp_path / f"bad{suffix}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    errors = []
    for _ in range(300):
        path.write_bytes(corrupted(draw, content))
        start = time.perf_counter()
        try:
            read_program(path)
        except EmulatorError as error:
            errors.append(str(error))
        assert time.perf_counter() - start < 2
    assert len(errors) >= 100
    assert all(error.startswith(f"{path}: expected ") for error in errors)
    assert not any("\n" in error for error in errors)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
