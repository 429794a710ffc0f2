"""Arena plan: tensors and scratch share SRAM when they are never alive together.

1. Buffers are taken by alignment, then by size, the largest first.
2. Each goes to the lowest aligned offset at which it meets no buffer placed already whose
   lifetime touches its own.
3. The arena's size is the highest end: the high-water mark.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernels.errors import CompilerError
from kernels.image import Arena, Buffer


def plan_arena(buffers: Sequence[Buffer], origin: int = 0) -> Arena:
    """Offsets of all buffers from `origin`, whose addresses are aligned as each buffer asks.

    Raises CompilerError where two buffers have one name.
    """
    placed: list[tuple[Buffer, int]] = []
    for buffer in sorted(buffers, key=lambda b: (-b.align, -b.size, b.symbol)):
        rivals = sorted(
            (offset, offset + other.size)
            for other, offset in placed
            if other.first <= buffer.last and buffer.first <= other.last
        )
        placed.append((buffer, _lowest_gap(buffer, rivals, origin)))
    offsets: dict[str, int] = {}
    for buffer, offset in placed:
        for symbol in (buffer.symbol, *buffer.aliases):
            if symbol in offsets:
                raise CompilerError(f"two buffers are called {symbol}: rename a layer or tensor")
            offsets[symbol] = offset
    return Arena(offsets, max((offset + buffer.size for buffer, offset in placed), default=0))


def alive_at(buffers: Sequence[Buffer], step: int) -> int:
    """Bytes that are in use while a layer runs."""
    return sum(buffer.size for buffer in buffers if buffer.first <= step <= buffer.last)


def _lowest_gap(buffer: Buffer, rivals: Sequence[tuple[int, int]], origin: int) -> int:
    offset = -origin % buffer.align
    for begin, end in rivals:
        if offset + buffer.size <= begin:
            break
        offset = max(offset, end + -(origin + end) % buffer.align)
    return offset
