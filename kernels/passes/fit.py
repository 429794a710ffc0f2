"""Fit: whether code, constants, arena and stack have room, before anything is linked."""

from __future__ import annotations

from collections.abc import Sequence

from kernels.errors import DoesNotFit, Need
from kernels.image import Arena, Part
from kernels.target import Target


def check_fit(target: Target, parts: Sequence[Part], arena: Arena) -> None:
    """Raise DoesNotFit, with the needs of every part, for the first memory that is too small."""
    image = [Need(part.name, part.layer, part.size) for part in parts]
    data = [Need("arena", None, arena.size), Need("stack", None, target.stack_reserve)]
    if target.unified:
        _check(target, "memory", image + data, target.data.size)
        return
    _check(target, "flash", image, target.code.size)
    _check(target, "SRAM", data, target.data.size)


def _check(target: Target, memory: str, needs: list[Need], available: int) -> None:
    needed = sum(need.size for need in needs)
    if needed > available:
        raise DoesNotFit(target.name, memory, needed, available, needs)
