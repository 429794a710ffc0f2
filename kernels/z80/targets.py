"""Z80 machines."""

from __future__ import annotations

from kernels.target import Region, Target

_ASSEMBLER = ("-march=z80+full", "--fatal-warnings")

CPM = Target(
    name="cpm",
    title="CP/M 2.2, Z80 at 4 MHz, 57 KB TPA",
    isa="z80",
    device="z80",
    clock_hz=4_000_000,
    code=Region(0x100, 57 * 1024),
    data=Region(0x100, 57 * 1024),
    features=frozenset(),
    assembler=_ASSEMBLER,
    linker=(),
    source="CP/M 2.2 Alteration Guide; a 64 KB system whose BDOS and BIOS take 6.75 KB",
    stack_reserve=256,
)
