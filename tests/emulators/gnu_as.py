"""GNU as for both machines: assembly text in, bytes out."""

import subprocess
from collections.abc import Callable
from pathlib import Path

Assemble = Callable[..., bytes]


ARCHITECTURES = {"atmega2560": "avr6", "atmega1284p": "avr51", "attiny85": "avr25"}


def assemble(
    directory: Path, prefix: str, as_options: list[str], ld_options: list[str], source: str
) -> bytes:
    """Assemble, link and flatten `source`; all files go to `directory`."""
    text, relocatable, linked, flat = (directory / f"a.{kind}" for kind in ("s", "o", "l", "bin"))
    text.write_text(source)
    commands: list[list[str | Path]] = [
        ["as", *as_options, "-o", relocatable, text],
        ["ld", "-e", "0", *ld_options, "-o", linked, relocatable],
        ["objcopy", "-O", "binary", "-j", ".text", linked, flat],
    ]
    for command in commands:
        subprocess.run([f"{prefix}-{command[0]}", *command[1:]], check=True)
    return flat.read_bytes()
