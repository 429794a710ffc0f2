"""What the run loop must know of every opcode: the AVR's encodings as C structures."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from emulators._simavr import ffi, lib
from emulators.avr_opcodes import OPERATIONS, Access, Base, Operation, decoded, has, operand

# struct operation
_RECORD: Final = np.dtype(
    [("base", "u2"), ("offset", "u2"), ("need", "u1"), ("traits", "u1")], align=True
)

_NEEDS = {
    Access.LOAD: lib.MAY_READ,
    Access.STORE: lib.MAY_WRITE,
    Access.PUSH: lib.MAY_PUSH,
    Access.CALL: lib.MAY_CALL,
    Access.RETURN: lib.MAY_RETURN,
    Access.LPM: lib.MAY_READ,
    Access.ELPM: lib.MAY_READ,
}


def _traits(operation: Operation) -> int:
    is_fixed = operation.access and operation.base is Base.NONE
    return (
        (lib.LONG if operation.long else 0)
        | (lib.FIXED if is_fixed else 0)
        | (lib.IN_FLASH if operation.access in (Access.LPM, Access.ELPM) else 0)
        | (lib.EXTENDED if operation.access is Access.ELPM else 0)
        | (lib.REWRITES if operation.access is Access.SPM else 0)
    )


def _need(operation: Operation) -> int:
    need = _NEEDS.get(operation.access, 0) if operation.access else 0
    return need | lib.ASK if _traits(operation) & (lib.FIXED | lib.EXTENDED) else need


@cache
def operations(mcu: str) -> NDArray[Any]:
    """Give a struct operation for each opcode of a device."""
    table = np.zeros(decoded().size, _RECORD)
    for place, operation in enumerate(OPERATIONS):
        rows = decoded() == place
        offset = operand("q", operation.pattern) + operand("A", operation.pattern)
        table["base"][rows] = operation.base.value or 0
        table["offset"][rows] = offset[rows] + operation.offset % 0x10000
        table["need"][rows] = _need(operation)
        table["traits"][rows] = _traits(operation)
    table["traits"][has(mcu)] |= lib.LEGAL
    return table


@cache
def operations_for_c(mcu: str) -> Any:
    """Give the same to C; it lives as long as the process."""
    return ffi.from_buffer("struct operation[]", operations(mcu))
