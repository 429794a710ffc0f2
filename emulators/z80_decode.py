"""How long each instruction is and which data it accesses, for whole logs of steps at once.

A step is an instruction or one of its DD and FD prefixes: what follows a prefix is a step that
takes (HL) as (IX+d) or (IY+d). Ports are no data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# One step's CPU, as the library keeps it.
STEP: Final = np.dtype(
    {
        "names": ["bc", "de", "hl", "pc", "sp", "ticks", "ix", "iy", "r", "halted", "prefix"],
        "formats": ["<u2", "<u2", "<u2", "<u2", "<u2", "<u4", "<u2", "<u2", "u1", "u1", "u1"],
        "offsets": [0, 2, 4, 8, 10, 20, 24, 26, 36, 41, 43],
        "itemsize": 44,
    }
)

# Where an instruction finds an address.
_NOWHERE, _HL, _BC, _DE, _NN, _SP, _BELOW_SP = range(7)
_CB, _ED = 0xCB, 0xED
PREFIXES: Final = (0xDD, 0xFD)

LONGEST: Final = 4  # bytes of an instruction

Words = NDArray[np.uint16]


class _Page:
    """The 256 opcodes without a prefix, or behind ED: sources of addresses, bytes there."""

    def __init__(self) -> None:
        self.read_at = np.zeros(256, np.uint8)
        self.write_at = np.zeros(256, np.uint8)
        self.size = np.ones(256, np.uint8)

    def reads(self, source: int, size: int, *opcodes: int) -> None:
        self.read_at[list(opcodes)] = source
        self.size[list(opcodes)] = size

    def writes(self, source: int, size: int, *opcodes: int) -> None:
        self.write_at[list(opcodes)] = source
        self.size[list(opcodes)] = size


_RET_CC = range(0xC0, 0x100, 8)
_CALL_CC = range(0xC4, 0x100, 8)


def _base_page() -> _Page:
    page = _Page()
    page.reads(_HL, 1, 0x34, 0x35, *(op for op in range(0x46, 0xC0, 8) if op != 0x76))
    page.writes(_HL, 1, 0x34, 0x35, 0x36, *(op for op in range(0x70, 0x78) if op != 0x76))
    page.reads(_BC, 1, 0x0A)
    page.writes(_BC, 1, 0x02)
    page.reads(_DE, 1, 0x1A)
    page.writes(_DE, 1, 0x12)
    page.reads(_NN, 1, 0x3A)
    page.writes(_NN, 1, 0x32)
    page.reads(_NN, 2, 0x2A)
    page.writes(_NN, 2, 0x22)
    page.reads(_SP, 2, 0xC1, 0xD1, 0xE1, 0xF1, 0xC9, *_RET_CC, 0xE3)
    page.writes(_SP, 2, 0xE3)
    page.writes(_BELOW_SP, 2, 0xC5, 0xD5, 0xE5, 0xF5, 0xCD, *_CALL_CC, *range(0xC7, 0x100, 8))
    return page


def _extended_page() -> _Page:
    page = _Page()
    page.reads(_NN, 2, 0x4B, 0x5B, 0x6B, 0x7B)
    page.writes(_NN, 2, 0x43, 0x53, 0x63, 0x73)
    page.reads(_SP, 2, *range(0x45, 0x80, 8))  # RETN, RETI
    page.reads(_HL, 1, 0x67, 0x6F)  # RRD, RLD
    page.writes(_HL, 1, 0x67, 0x6F)
    for repeated in (0xA0, 0xA8, 0xB0, 0xB8):
        page.reads(_HL, 1, repeated, repeated + 1, repeated + 3)  # LDI, CPI, OUTI
        page.writes(_DE, 1, repeated)
        page.writes(_HL, 1, repeated + 2)  # INI
    return page


def _lengths() -> NDArray[np.uint8]:
    lengths = np.ones(256, np.uint8)
    lengths[[*range(0x06, 0x40, 8), *range(0xC6, 0x100, 8)]] = 2  # immediates
    lengths[[*range(0x10, 0x40, 8), 0xD3, 0xDB, _CB, _ED]] = 2  # relative jumps, ports, pages
    lengths[[*range(0x01, 0x40, 16), 0x22, 0x2A, 0x32, 0x3A]] = 3
    lengths[[*range(0xC2, 0x100, 8), *_CALL_CC, 0xC3, 0xCD]] = 3
    return lengths


_BASE, _EXTENDED = _base_page(), _extended_page()
_LENGTHS = _lengths()
_AT_HL = (_BASE.read_at == _HL) | (_BASE.write_at == _HL)
_SP_TELLS = np.isin(np.arange(256), [*_RET_CC, *_CALL_CC])  # SP moves only if they are taken


def step_length(memory: memoryview, pc: int, *, indexed: bool) -> int:
    """Bytes of the step at `pc`; indexed: after a prefix."""
    opcode = memory[pc]
    if opcode == _ED:
        return 4 if memory[(pc + 1) & 0xFFFF] & 0xC7 == 0x43 else 2
    displaced = indexed and (opcode == _CB or bool(_AT_HL[opcode]))
    return int(_LENGTHS[opcode]) + displaced


def instruction_length(memory: memoryview, pc: int) -> int:
    """Bytes of the instruction at `pc`; of several prefixes only the first is counted."""
    if memory[pc] not in PREFIXES:
        return step_length(memory, pc, indexed=False)
    following = (pc + 1) & 0xFFFF
    if memory[following] in PREFIXES:
        return 1
    return 1 + step_length(memory, following, indexed=True)


class Decoded:
    """Steps of a log, with the memory that held their instructions, which must not have changed."""

    def __init__(self, steps: NDArray[Any], memory: memoryview) -> None:
        """steps: STEP (n + 1,), the last one only to show what the n-th left."""
        self._bytes: NDArray[np.uint8] = np.frombuffer(memory, np.uint8)
        self._before, self._after = steps[:-1], steps[1:]
        self._pc: Words = self._before["pc"].astype(np.uint16)
        self._indexed = self._before["prefix"] != 0
        self._opcodes = self._at(0)
        self._is_extended = self._opcodes == _ED
        self._is_bits = self._opcodes == _CB

    def _at(self, offset: int) -> NDArray[np.uint8]:
        values: NDArray[np.uint8] = self._bytes[self._pc + np.uint16(offset)]
        return values

    def _word_at(self, offset: int) -> Words:
        return self._at(offset) + np.uint16(256) * self._at(offset + 1)

    def lengths(self) -> NDArray[np.uint8]:
        """Bytes of each step: uint8 (n,)."""
        displaced = self._indexed & (self._is_bits | _AT_HL[self._opcodes])
        long = self._is_extended & (self._at(1) & 0xC7 == 0x43)
        lengths: NDArray[np.uint8] = _LENGTHS[self._opcodes] + displaced + np.uint8(2) * long
        return lengths

    def reads(self) -> Iterator[tuple[NDArray[np.intp], Words]]:
        """Indices of steps, and an address that each of them reads."""
        return self._accesses("read_at")

    def writes(self) -> Iterator[tuple[NDArray[np.intp], Words]]:
        """Indices of steps, and an address that each of them writes."""
        return self._accesses("write_at")

    def _accesses(self, which: str) -> Iterator[tuple[NDArray[np.intp], Words]]:
        second = self._at(1)
        base, extended = getattr(_BASE, which), getattr(_EXTENDED, which)
        source = np.where(self._is_extended, extended[second], base[self._opcodes])
        source[_SP_TELLS[self._opcodes] & (self._before["sp"] == self._after["sp"])] = _NOWHERE
        self._add_bits(source, writing=which == "write_at")
        sizes = np.where(self._is_extended, _EXTENDED.size[second], _BASE.size[self._opcodes])
        addresses = self._sources()[source, np.arange(len(source))]
        for byte in range(2):
            (steps,) = np.nonzero((source != _NOWHERE) & (sizes > byte))
            yield steps, addresses[steps] + np.uint16(byte)

    def _add_bits(self, source: NDArray[np.uint8], *, writing: bool) -> None:
        """The CB page: one pattern. Behind a prefix even its register forms access memory."""
        opcode = np.where(self._indexed, self._at(2), self._at(1))
        accessing = self._is_bits & (self._indexed | (opcode & 7 == 6))
        if writing:
            accessing &= opcode & 0xC0 != 0x40  # BIT
        source[accessing] = _HL

    def _sources(self) -> Words:
        """Addresses by source: uint16 (sources, n)."""
        cpu = self._before
        displacement = self._at(1).astype(np.int8).astype(np.uint16)
        index = np.where(cpu["prefix"] == 1, cpu["ix"], cpu["iy"]) + displacement
        at_hl = np.where(self._indexed & ~self._is_extended, index, cpu["hl"])
        nn = np.where(self._is_extended, self._word_at(2), self._word_at(1))
        sp = cpu["sp"]
        return np.stack([sp, at_hl, cpu["bc"], cpu["de"], nn, sp, sp - np.uint16(2)])
