"""Z80 machines: where a program may lie, and how it is entered and left."""

from __future__ import annotations

from kernels.target import Interrupts, Region, Target


def _z80(
    name: str,
    title: str,
    clock_hz: int,
    memory: Region,
    *,
    source: str,
    enter: tuple[str, ...] = (),
    leave: tuple[str, ...] = ("ret",),
    m1_wait: int = 0,
    interrupts: Interrupts = Interrupts.MASKED,
) -> Target:
    return Target(
        name=name,
        title=title,
        isa="z80",
        device="z80",
        clock_hz=clock_hz,
        code=memory,
        data=memory,
        features=frozenset(),
        assembler=("-march=z80+full", "--fatal-warnings"),
        linker=(),
        source=source,
        stack_reserve=256,
        enter=enter,
        leave=leave,
        m1_wait=m1_wait,
        interrupts=interrupts,
    )


CPM = _z80(
    "cpm",
    "CP/M 2.2, Z80 at 4 MHz, 57 KB TPA",
    4_000_000,
    Region(0x100, 57 * 1024),
    source="CP/M 2.2 Alteration Guide; a 64 KB system whose BDOS and BIOS take 6.75 KB",
)

CPM_EI = _z80(
    "cpm-ei",
    "CP/M 2.2 as cpm, whose interrupts are served while the network runs",
    CPM.clock_hz,
    CPM.code,
    source=CPM.source,
    interrupts=Interrupts.SERVED,
)

SPECTRUM = _z80(
    "spectrum",
    "ZX Spectrum 48K, uncontended memory, below the user-defined graphics",
    3_500_000,
    Region(0x8000, 0xFF58 - 0x8000),
    source="ZX Spectrum BASIC manual, chapter 24; contention: 0x4000-0x7fff only",
    # The ROM's interrupt routine needs IY, and BASIC HL' as well.
    enter=("di",),
    leave=("ld iy,0x5c3a", "exx", "ld hl,0x2758", "exx", "ei", "ret"),
    interrupts=Interrupts.OFF,
)

MSX = _z80(
    "msx",
    "MSX, BASIC's 32 KB of RAM, below the system's work area; a wait state at each M1 cycle",
    3_579_545,
    Region(0x8000, 0xF380 - 0x8000),
    source="MSX Technical Data Book; work area from 0xf380",
    m1_wait=1,
)

BARE = _z80(
    "z80",
    "Z80 at 4 MHz with 64 KB of RAM and nothing else",
    4_000_000,
    Region(0, 0x10000),
    source="Zilog UM0080; Z80A",
    leave=("halt",),
    interrupts=Interrupts.OFF,
)
