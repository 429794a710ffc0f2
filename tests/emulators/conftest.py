"""GNU as for both machines: assembly text in, bytes out."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Assemble = Callable[..., bytes]


_ARCHITECTURES = {"atmega2560": "avr6", "atmega1284p": "avr51", "attiny85": "avr25"}


def _binary(
    directory: Path, prefix: str, as_options: list[str], ld_options: list[str], source: str
) -> bytes:
    text, relocatable, linked, flat = (directory / f"a.{kind}" for kind in ("s", "o", "l", "bin"))
    text.write_text(source)
    for command in (
        ["as", *as_options, "-o", relocatable, text],
        ["ld", "-e", "0", *ld_options, "-o", linked, relocatable],
        ["objcopy", "-O", "binary", "-j", ".text", linked, flat],
    ):
        subprocess.run([f"{prefix}-{command[0]}", *command[1:]], check=True)
    return flat.read_bytes()


@pytest.fixture
def avr_as(tmp_path: Path) -> Assemble:
    """Assemble for address 0: `avr_as(source, mcu="atmega328p")`."""

    def assemble(source: str, mcu: str = "atmega328p") -> bytes:
        architecture = _ARCHITECTURES.get(mcu, "avr5")
        return _binary(
            tmp_path, "avr", [f"-mmcu={mcu}"], ["-m", architecture, "-Ttext", "0"], source
        )

    return assemble


@pytest.fixture
def z80_as(tmp_path: Path) -> Assemble:
    """Assemble for an origin: `z80_as(source, origin=0x8000)`."""

    def assemble(source: str, origin: int = 0x8000) -> bytes:
        options = ["-march=z80+full", "--fatal-warnings"]
        return _binary(tmp_path, "z80-unknown-coff", options, ["-Ttext", hex(origin)], source)

    return assemble
