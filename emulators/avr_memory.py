"""What can be loaded into an AVR: segments, memory maps, and code that the device can execute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulators.avr_opcodes import OPERATIONS, decoded, has, operation_of
from emulators.base import EmulatorError, MemoryMap

Segments = Sequence[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Sizes in bytes; data memory begins with the registers."""

    mcu: str
    flash: int
    data: int


def check_segments(segments: Segments, device: DeviceMemory) -> None:
    """Raise EmulatorError for a segment outside flash."""
    for address, data in segments:
        if address < 0 or address + len(data) > device.flash:
            raise EmulatorError(
                f"{len(data)} bytes at {address:#x} do not fit the {device.flash} bytes of "
                f"flash of the {device.mcu}"
            )


def check_map(memory: MemoryMap, segments: Segments, device: DeviceMemory) -> None:
    """Raise EmulatorError for a range that the device lacks, or code that it cannot execute."""
    for what, ranges, size in (
        ("code", memory.code, device.flash),
        ("constants", memory.constants, device.flash),
        ("data", memory.data, device.data),
    ):
        for part in ranges:
            if part and (part.step != 1 or part.start < 0 or part.stop > size):
                raise EmulatorError(
                    f"the {what} {_shown(part)} are no range within the {size} bytes of the "
                    f"{device.mcu}"
                )
    words = _flash(segments, device.flash)
    for part in memory.code:
        if part.start % 2 or part.stop % 2:
            raise EmulatorError(f"the code {_shown(part)} does not consist of whole words")
        _check_code(part, words[part.start // 2 : part.stop // 2], device.mcu)


def _shown(part: range) -> str:
    step = f" in steps of {part.step}" if part.step != 1 else ""
    return f"from {part.start:#x} to before {part.stop:#x}{step}"


def _flash(segments: Segments, size: int) -> NDArray[np.uint16]:
    image = bytearray(b"\xff" * size)
    for address, data in segments:
        image[address : address + len(data)] = data
    return np.frombuffer(image, "<u2")


_IS_LONG = np.array([operation.long for operation in OPERATIONS] + [False])  # -1: the last one


def _check_code(part: range, words: NDArray[np.uint16], mcu: str) -> None:
    """Decode from the start, and look at all that is illegal or long."""
    is_legal = has(mcu)[words]
    second = -1
    for word in np.flatnonzero(~is_legal | _IS_LONG[decoded()[words]]).tolist():
        pc, opcode = part.start + 2 * word, int(words[word])
        if word == second:
            continue
        if not is_legal[word]:
            raise EmulatorError(f"the code at {pc:#x} is {opcode:#06x}, {_fault(opcode, mcu)}")
        if word + 1 == len(words):
            raise EmulatorError(
                f"the code at {pc:#x} is {opcode:#06x}, the first half of an instruction that the "
                "end of the code cuts off"
            )
        second = word + 1


def _fault(opcode: int, mcu: str) -> str:
    operation = operation_of(opcode)
    if operation is None:
        return "which is no AVR instruction"
    return f"{operation.name.upper()}, which the {mcu} lacks"
