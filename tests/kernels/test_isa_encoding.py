"""The tables against GNU as: what is legal on which device, and how many bytes it takes."""

import re
import subprocess
from pathlib import Path

import pytest
from test_isa_samples import DEVICES, legal, lines

from kernels.asm import Assembly
from kernels.avr.isa import AVR
from kernels.z80.isa import Z80

Z80_AS = ["z80-unknown-coff-as", "-march=z80+full", "--fatal-warnings"]
MACHINES = {
    "Z80": (Z80, frozenset[str](), Z80_AS, "z80-unknown-coff-nm"),
    **{
        name: (AVR, features, ["avr-as", f"-mmcu={name}"], "avr-nm")
        for name, features in DEVICES.items()
    },
}


def assemble(command: list[str], source: str, folder: Path) -> set[int]:
    """Return the numbers of the lines that GNU as complains of."""
    (folder / "a.s").write_text(source)
    done = subprocess.run(
        [*command, "-o", "a.o", "a.s"], cwd=folder, capture_output=True, text=True, check=False
    )
    return {int(number) for number in re.findall(r"^a\.s:(\d+): ", done.stderr, re.MULTILINE)}


@pytest.mark.parametrize("machine", MACHINES)
def test_gnu_as_takes_as_many_bytes(machine: str, tmp_path: Path) -> None:
    isa, features, command, nm = MACHINES[machine]
    out = Assembly(isa, features)
    sizes = []
    for form in isa.forms:
        for line in lines(isa, form):
            if legal(isa, features, line):
                sizes.append(out.emit(f"line_{len(sizes)}: {line}").size)
    out.emit(f"line_{len(sizes)}:")
    assert assemble(command, out.text(), tmp_path) == set()
    symbols = subprocess.run(
        [nm, "a.o"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    where = {
        int(name[5:]): int(address, 16)
        for address, _, name in map(str.split, symbols.splitlines())
        if name.startswith("line_")
    }
    assert [where[n + 1] - where[n] for n in range(len(sizes))] == sizes
    assert out.size == sum(sizes)


@pytest.mark.parametrize("device", DEVICES)
def test_gnu_as_agrees_on_what_a_device_lacks(device: str, tmp_path: Path) -> None:
    # GNU as lets `lpm Rd, Z` pass on the oldest parts, which lack it; AVR's manual does not.
    rows = [
        next(line for line in lines(AVR, form) if legal(AVR, AVR.features, line))
        for form in AVR.forms
        if form.operands != ("Rd", "Z") or form.mnemonic != "lpm"
    ]
    refused = assemble(["avr-as", f"-mmcu={device}"], "\n".join(rows) + "\n", tmp_path)
    ours = {n for n, row in enumerate(rows, 1) if not legal(AVR, DEVICES[device], row)}
    assert {rows[n - 1] for n in refused} == {rows[n - 1] for n in ours}
