"""AVR boards and chips.

Memory sizes and the first SRAM address are from the data sheets: ATmega48A/PA/88A/PA/168A/PA/328/P
(DS40002061), ATmega640/1280/1281/2560/2561 (DS40002211). Boot loader sizes are those of the boards:
Optiboot takes 512 bytes on an UNO, the STK500v2 loader 8 KiB on a Mega.
"""

from __future__ import annotations

from kernels.target import Region, Target

_ENHANCED = frozenset({"MOVW", "LPMX", "MUL", "JMP", "SPM", "BREAK"})
_FAR = _ENHANCED | {"ELPM", "EIJMP", "PC22"}

UNO = Target(
    name="uno",
    title="Arduino UNO (ATmega328P, boot loader kept)",
    isa="avr",
    device="atmega328p",
    clock_hz=16_000_000,
    code=Region(0, 32 * 1024 - 512),
    data=Region(0x100, 2048),
    features=_ENHANCED,
    assembler=("-mmcu=atmega328p",),
    linker=("-m", "avr5"),
    source="DS40002061; Optiboot",
    stack_reserve=16,
)

MEGA = Target(
    name="mega",
    title="Arduino Mega (ATmega2560, boot loader kept)",
    isa="avr",
    device="atmega2560",
    clock_hz=16_000_000,
    code=Region(0, 256 * 1024 - 8192),
    data=Region(0x200, 8192),
    features=_FAR,
    assembler=("-mmcu=atmega2560",),
    linker=("-m", "avr6"),
    source="DS40002211; STK500v2 boot loader",
    stack_reserve=16,
)
