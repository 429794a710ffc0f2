"""The AVR's encodings against what GNU binutils make of every opcode."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from emulators.avr_opcodes import OPCODES, OPERATIONS, decoded, has, matches

# Not of these cores: binutils know them from XMEGA.
XMEGA = {"xch", "las", "lac", "lat", "des"}
SPM_WITH_INCREMENT = 0x95F8


@pytest.fixture(scope="module")
def disassembly(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Each opcode's mnemonic, followed by a zero word."""
    image = tmp_path_factory.mktemp("opcodes") / "all.bin"
    image.write_bytes(b"".join(opcode.to_bytes(2, "little") + b"\0\0" for opcode in range(OPCODES)))
    options = ["-D", "-b", "binary", "-m", "avr6", image]
    text = subprocess.run(
        ["avr-objdump", *options], check=True, capture_output=True
    ).stdout.decode()
    lines = re.findall(r"^ *([0-9a-f]+):\t[0-9a-f ]+\t(\S+)", text, re.MULTILINE)
    named = {int(address, 16): name for address, name in lines}
    return [named[4 * opcode] for opcode in range(OPCODES)]


def test_reserved_opcodes_are_those_that_binutils_know(disassembly: list[str]) -> None:
    reserved = np.array([name in XMEGA or name == ".word" for name in disassembly])
    reserved[SPM_WITH_INCREMENT] = True
    assert np.array_equal(decoded() < 0, reserved)


def test_patterns_do_not_overlap() -> None:
    assert sum(matches(operation.pattern).astype(int) for operation in OPERATIONS).max() == 1


ALIASES = {"st": {"st", "std"}, "ld": {"ld", "ldd"}}
BY_FLAG = {"bset", "bclr", "brbs", "brbc"}  # binutils name them after the flag


def test_mnemonics_are_those_of_binutils(disassembly: list[str]) -> None:
    for place, operation in enumerate(OPERATIONS):
        name = operation.name.split()[0]
        known = {disassembly[opcode] for opcode in np.flatnonzero(decoded() == place)}
        assert name in BY_FLAG or known <= ALIASES.get(name, {name})


OPTIONAL = {
    "mul r0, r1": 0x9C01,
    "muls r16, r17": 0x0201,
    "mulsu r16, r17": 0x0301,
    "fmul r16, r17": 0x0309,
    "jmp 0": 0x940C,
    "call 0": 0x940E,
    "elpm": 0x95D8,
    "elpm r0, Z": 0x9006,
    "elpm r0, Z+": 0x9007,
    "eijmp": 0x9419,
    "eicall": 0x9519,
    "spm": 0x95E8,
    "movw r0, r2": 0x0101,
    "lpm r0, Z+": 0x9005,
    "adiw r24, 1": 0x9601,
}


@pytest.mark.parametrize(
    "mcu",
    ["atmega8", "atmega88", "atmega328p", "atmega644", "atmega1284p", "atmega2560", "attiny85"],
)
def test_devices_have_what_their_assembler_takes(tmp_path: Path, mcu: str) -> None:
    source = tmp_path / "all.s"
    source.write_text("\n".join(OPTIONAL))
    command = ["avr-as", f"-mmcu={mcu}", "-o", tmp_path / "all.o", source]
    errors = subprocess.run(command, check=False, capture_output=True, text=True).stderr
    refused = {int(line) for line in re.findall(r"\.s:(\d+): Error", errors)}
    has_it = [bool(has(mcu)[opcode]) for opcode in OPTIONAL.values()]
    assert has_it == [line not in refused for line in range(1, len(OPTIONAL) + 1)]
