"""Fit: whether code, constants, arena and stack have room, before anything is linked."""

from __future__ import annotations

from collections.abc import Sequence

from kernels.errors import Budget, DoesNotFit, Need
from kernels.image import Arena, Kind, Part
from kernels.target import Target


def check_fit(target: Target, parts: Sequence[Part], arena: Arena) -> None:
    """Raise DoesNotFit, with the needs of every part, where a memory is too small."""
    found = budgets(target, parts, arena)
    if any(budget.excess > 0 for budget in found):
        raise DoesNotFit(target.name, found)


def budgets(target: Target, parts: Sequence[Part], arena: Arena) -> tuple[Budget, ...]:
    """What a program needs of each of the target's memories."""
    image = _needs(parts)
    size = arena.size
    if target.unified:
        # The arena begins at a multiple of 256, so some bytes above it may stay unused.
        size = target.data.end - target.stack_reserve - target.arena_origin(arena.size)
    data = (
        Need("arena", None, size, in_image=False),
        Need("stack", None, target.stack_reserve, in_image=False),
    )
    if target.unified:
        return (Budget("memory", target.data.size, image + data),)
    found = (Budget("flash", target.code.size, image), Budget("SRAM", target.data.size, data))
    if target.banks is None:
        return found
    in_banks = (Kind.BANKED, Kind.BANKED_CODE, Kind.UNUSED)
    fixed = [part for part in parts if part.kind not in in_banks]
    return (*found, Budget("bank 0", target.banks.size, _needs(fixed)))


def _needs(parts: Sequence[Part]) -> tuple[Need, ...]:
    """The parts in order; all constants of a layer are one need, wherever they lie."""
    sizes: dict[tuple[str, str | None], int] = {}
    for part in parts:
        constants = part.layer is not None and part.kind is Kind.CONST
        key = f"{part.layer} constants" if constants else part.name, part.layer
        sizes[key] = sizes.get(key, 0) + part.size
    return tuple(Need(*key, size, in_image=True) for key, size in sizes.items())
