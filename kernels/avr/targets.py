"""AVR chips, and boards with what their boot loader takes of the flash.

Memory sizes and the first SRAM address are from the data sheets: ATmega48A/PA/88A/PA/168A/PA/328/P
(DS40002061), ATmega640/1280/1281/2560/2561 (DS40002211), ATmega164A/PA/.../1284/P (DS40002070),
ATtiny25/45/85 (2586Q). Boot loaders: Optiboot takes 512 bytes on an UNO, the STK500v2 loader 8 KiB
on a Mega. Clocks are what the boards have, or what the bare chip is rated for.
"""

from __future__ import annotations

from kernels.target import Region, Target

_TINY = frozenset({"MOVW", "LPMX", "SPM", "BREAK"})
_MEGA = _TINY | {"MUL", "JMP"}
_STACK = 16  # bytes that a program must leave to the stack


def _avr(
    name: str,
    title: str,
    device: str,
    clock_hz: int,
    *,
    flash: int,
    sram: Region,
    features: frozenset[str],
    linker: str,
    source: str,
) -> Target:
    return Target(
        name=name,
        title=title,
        isa="avr",
        device=device,
        clock_hz=clock_hz,
        code=Region(0, flash),
        data=sram,
        features=features,
        assembler=(f"-mmcu={device}",),
        linker=("-m", linker),
        source=source,
        stack_reserve=_STACK,
    )


UNO = _avr(
    "uno",
    "Arduino UNO (ATmega328P, boot loader kept)",
    "atmega328p",
    16_000_000,
    flash=32 * 1024 - 512,
    sram=Region(0x100, 2048),
    features=_MEGA,
    linker="avr5",
    source="DS40002061; Optiboot",
)

ATMEGA328P = _avr(
    "atmega328p",
    "ATmega328P, all of its flash",
    "atmega328p",
    16_000_000,
    flash=32 * 1024,
    sram=Region(0x100, 2048),
    features=_MEGA,
    linker="avr5",
    source="DS40002061",
)

MEGA = _avr(
    "mega",
    "Arduino Mega (ATmega2560, boot loader kept)",
    "atmega2560",
    16_000_000,
    flash=256 * 1024 - 8192,
    sram=Region(0x200, 8192),
    features=_MEGA | {"ELPM", "EIJMP", "PC22"},
    linker="avr6",
    source="DS40002211; STK500v2 boot loader",
)

ATMEGA1284P = _avr(
    "atmega1284p",
    "ATmega1284P, all of its flash",
    "atmega1284p",
    20_000_000,
    flash=128 * 1024,
    sram=Region(0x100, 16 * 1024),
    features=_MEGA | {"ELPM"},
    linker="avr51",
    source="DS40002070",
)

ATTINY85 = _avr(
    "attiny85",
    "ATtiny85 (no multiplier), all of its flash",
    "attiny85",
    8_000_000,
    flash=8 * 1024,
    sram=Region(0x60, 512),
    features=_TINY,
    linker="avr25",
    source="2586Q; internal oscillator",
)
