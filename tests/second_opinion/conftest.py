"""The second emulators. Where one is missing its tests fail: none is skipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import avr8js
import pytest
import z80ex
from routine import SecondEmulator


@pytest.fixture(scope="session")
def seconds() -> Iterator[Mapping[str, SecondEmulator]]:
    """The second emulator of each instruction set."""
    with avr8js.start() as avr, z80ex.load() as z80:
        yield {"avr": avr, "z80": z80}
