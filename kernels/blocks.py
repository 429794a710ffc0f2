"""Cutting a layer's outputs into the blocks that a kernel works on at a time."""

from __future__ import annotations


def blocks(outputs: int, largest: int) -> list[int]:
    """Sizes of the fewest blocks of at most `largest` outputs, as equal as can be, descending."""
    count = -(-outputs // largest)
    small, extra = divmod(outputs, count)
    return [small + 1] * extra + [small] * (count - extra)
