"""Hostile AVR programs: random words, legal random instructions, and games with the peripherals.

A program of its own, so that whoever starts it survives: `hostile_avr.py MCU FIRST END` runs the
programs of these seeds and prints one line of JSON and, if all is well, nothing else.
"""

from __future__ import annotations

import ctypes
import gc
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulators.avr_opcodes import has
from emulators.base import EmulatorError, MemoryMap
from emulators.simavr import SimAvr

MCUS = ("atmega328p", "atmega2560", "atmega1284p", "attiny85")
LIMITS = (1, 100, 5_000, 20_000, 20_000, 300_000)
REFUSED = "image refused"


def _words(words: NDArray[np.integer]) -> bytes:
    return words.astype("<u2").tobytes()


def _legal(draw: random.Random, mcu: str, count: int) -> bytes:
    """Instructions of the device: runs on until data or stack are at fault."""
    opcodes = np.flatnonzero(has(mcu))
    return _words(opcodes[[draw.randrange(opcodes.size) for _ in range(count)]])


def _pokes(draw: random.Random, count: int) -> bytes:
    """Write random bytes to random I/O registers: watchdog, EEPROM, SPM, USART, ADC, timers."""
    code: list[int] = []
    if draw.random() < 0.3:
        code += [0xE108, 0x9300, 0x60, 0xBD01, 0xE008, 0x9300, 0x60, 0xBD01]  # start the watchdog
        code += [0xCFFF] * draw.randrange(2)  # and wait for it
    for _ in range(count):
        value, register = draw.randrange(256), draw.randrange(16)
        code.append(0xE000 | (value & 0xF0) << 4 | register << 4 | value & 0xF)  # ldi
        if draw.random() < 0.5:
            code += [0x9200 | (16 + register) << 4, draw.randrange(0x20, 0x140)]  # sts
        else:
            port = draw.randrange(64)
            code.append(0xB800 | (port & 0x30) << 5 | (16 + register) << 4 | port & 0xF)  # out
        # sei, sleep, spm, wdr, or one that does nothing
        code.append(draw.choice([0x9478, 0x9588, 0x95E8, 0x95A8, 0x0000, 0x0000]))
    return _words(np.array(code))


def _image(draw: random.Random, mcu: str, flash_size: int) -> bytes:
    size = draw.choice([2, 64, 1000, 1000, 4096])
    kind = draw.random()
    if kind < 0.3:
        image = draw.randbytes(size)
    elif kind < 0.6:
        image = _legal(draw, mcu, size // 2)
    elif kind < 0.9:
        image = _pokes(draw, size // 8 + 1)
    else:
        image = draw.randbytes(flash_size + draw.choice([-1, 0, 1, 4096]))
    return image[: draw.randrange(1, len(image) + 1)] if draw.random() < 0.3 else image


def _ranges(draw: random.Random, size: int) -> tuple[range, ...]:
    starts = [draw.randrange(size) for _ in range(draw.randrange(4))]
    return tuple(range(start, min(size, start + draw.randrange(1, 2000))) for start in starts)


def _map(draw: random.Random, emulator: SimAvr, origin: int, image: bytes) -> MemoryMap:
    everything = range(emulator.ram.stop)
    data = (everything,) if draw.random() < 0.5 else _ranges(draw, emulator.ram.stop)
    code = range(origin, origin + len(image) // 2 * 2)
    return MemoryMap((code,), _ranges(draw, emulator.flash_size), data)


def attack(emulator: SimAvr, mcu: str, seed: int) -> str:
    """Run one hostile program; tell how it ended."""
    draw = random.Random(f"{mcu} {seed}")
    image = _image(draw, mcu, emulator.flash_size)
    origin = draw.choice([0, 0, 0, 2 * draw.randrange(emulator.flash_size // 2)])
    memory = _map(draw, emulator, origin, image) if draw.random() < 0.5 else None
    entry = min(origin + 2 * draw.randrange(len(image) // 2 + 1), emulator.flash_size - 2)
    if draw.random() < 0.2:
        entry = draw.randrange(emulator.flash_size)
    ram = emulator.ram
    profile = draw.random() < 0.2
    try:
        emulator.load([(origin, image)], memory)
        emulator.write(ram[0], draw.randbytes(len(ram)))
        result = emulator.call(
            entry,
            limit=draw.choice(LIMITS),
            stack=ram[-1],
            stack_floor=draw.choice([ram[0], ram[-1] - 40]),
            profile=profile,
        )
    except EmulatorError:
        return REFUSED
    if result.profile is not None:
        assert int(result.profile.cycles.sum()) == result.cycles
    return str(result.reason)


def _resident_mb() -> float:
    """Memory that this process occupies, without what is free, but kept by the allocator."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def campaign(mcu: str, seeds: range) -> dict[str, object]:
    """Count how the programs ended, and what memory grew by after a fifth of them.

    By then the pages of the large, lazily filled buffers that programs reach are mostly there.
    """
    emulator = SimAvr(mcu)
    start = time.perf_counter()
    warm = len(seeds) // 5
    ends = Counter(attack(emulator, mcu, seed) for seed in seeds[:warm])
    before = _resident_mb()
    ends.update(attack(emulator, mcu, seed) for seed in seeds[warm:])
    grown = _resident_mb() - before
    return {"ends": ends, "grown_mb": grown, "seconds": time.perf_counter() - start}


if __name__ == "__main__":
    print(json.dumps(campaign(sys.argv[1], range(int(sys.argv[2]), int(sys.argv[3])))))
