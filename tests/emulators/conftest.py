"""Assemblers as fixtures."""

from pathlib import Path

import gnu_as
import pytest


@pytest.fixture
def avr_as(tmp_path: Path) -> gnu_as.Assemble:
    """Assemble for address 0: `avr_as(source, mcu="atmega328p")`."""

    def assemble(source: str, mcu: str = "atmega328p") -> bytes:
        architecture = gnu_as.ARCHITECTURES.get(mcu, "avr5")
        return gnu_as.assemble(
            tmp_path, "avr", [f"-mmcu={mcu}"], ["-m", architecture, "-Ttext", "0"], source
        )

    return assemble


@pytest.fixture
def z80_as(tmp_path: Path) -> gnu_as.Assemble:
    """Assemble for an origin: `z80_as(source, origin=0x8000)`."""

    def assemble(source: str, origin: int = 0x8000) -> bytes:
        options = ["-march=z80+full", "--fatal-warnings"]
        return gnu_as.assemble(
            tmp_path, "z80-unknown-coff", options, ["-Ttext", hex(origin)], source
        )

    return assemble
