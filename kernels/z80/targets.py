"""Z80 machines: where a program may lie, and how it is entered and left."""

from __future__ import annotations

from dataclasses import replace

from kernels.target import Banks, Interrupts, Region, Target


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

MSX_ROM = replace(
    MSX,
    name="msx-rom",
    title="MSX cartridge of up to 256 banks of 16 KB (ASCII16 mapper), 12.9 KB of RAM",
    code=Region(0x4000, 256 * 0x4000),
    data=Region(0xC000, 0xF380 - 0xC000),
    source="MSX Technical Data Book, and msx.org's MegaROM Mappers: ASC16",
    # A cartridge begins with its mark and the address that the system calls. Then this cartridge,
    # found in page 1, has its slot selected in page 2 as well: RSLREG, EXPTBL, ENASLT.
    enter=(
        ".byte 0x41,0x42",
        ".word 0x4010,0,0,0,0,0,0",
        "di",
        "call 0x138",
        "rrca",
        "rrca",
        "and 3",
        "ld c,a",
        "ld b,0",
        "ld hl,0xfcc1",
        "add hl,bc",
        "ld a,(hl)",
        "and 0x80",
        "or c",
        "ld c,a",
        "inc hl",
        "inc hl",
        "inc hl",
        "inc hl",
        "ld a,(hl)",
        "and 0x0c",
        "or c",
        "ld h,0x80",
        "call 0x24",
    ),
    # The stack took the place of the system's, so there is no way back.
    leave=("di", "halt"),
    interrupts=Interrupts.OFF,
    banks=Banks(Region(0x8000, 0x4000), Region(0x7000, 0x800)),
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

BANKED = replace(
    BARE,
    name="z80-banks",
    title="Z80 at 4 MHz: 16 KB of ROM, 28 banks of 16 KB in a window, 16 KB of RAM; no wait states",
    code=Region(0, 29 * 0x4000),
    data=Region(0xC000, 0x4000),
    banks=Banks(Region(0x8000, 0x4000), Region(0x4000, 1)),
)
