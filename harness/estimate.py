"""What one would expect without measuring: a constant per multiply-accumulate, two bits a weight.

For optional columns beside the measured figures, with the error that such an estimate makes.
"""

from __future__ import annotations

from harness.record import Record
from kernels.target import targets

CYCLES_PER_MAC = {"avr": 8, "z80": 90}
"""About what the inner loop of a dense kernel takes for a product of 8 by 8 bits."""
BITS_PER_WEIGHT = 2


def estimated_cycles(record: Record) -> int | None:
    """Products times the constant of the instruction set; None for targets of other projects."""
    known = targets().get(record.target)
    return None if known is None else record.macs * CYCLES_PER_MAC[known.isa]


def estimated_flash(record: Record) -> int:
    """Bytes of weights alone, each product's weight counted once."""
    return -(-record.macs * BITS_PER_WEIGHT // 8)


def cycles_error(record: Record) -> float | None:
    """How much the estimate is above the measured mean, as a share of it."""
    return _error(estimated_cycles(record), record.cycles_mean)


def flash_error(record: Record) -> float | None:
    """How much the estimate is above the measured bytes, as a share of them."""
    return _error(estimated_flash(record), record.flash_bytes)


def _error(estimate: float | None, measured: float | None) -> float | None:
    return None if estimate is None or not measured else (estimate - measured) / measured
