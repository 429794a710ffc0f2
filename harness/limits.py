"""How much of a target's memories a program may take: all of it, or what the user says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from sys import maxsize

from harness.errors import HarnessError
from kernels.draft import Draft
from kernels.errors import Budget
from kernels.target import Target


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of each of a target's memories that a program may take, in the order of its budgets.

    On AVR flash, then SRAM for arena and stack; where there is one memory for all, that. Where code
    memory has banks, the one that is always there comes last.
    """

    bytes: tuple[int, ...]

    @property
    def of_code(self) -> Limits:
        """The same limit of code memory, and none of the others."""
        return Limits((self.bytes[0], *(maxsize for _ in self.bytes[1:])))

    def budgets(self, draft: Draft) -> tuple[Budget, ...]:
        """What a draft needs of each memory, and what it may take."""
        return tuple(
            Budget(budget.memory, limit, budget.needs)
            for budget, limit in zip(draft.budgets, self.bytes, strict=True)
        )

    def excess(self, needed: Sequence[int]) -> int:
        """Bytes too many of the memory that is exceeded most; 0 or less if all suffice."""
        return max(need - limit for need, limit in zip(needed, self.bytes, strict=True))


def limits_of(target: Target, flash: int | None = None, sram: int | None = None) -> Limits:
    """The target's own limits, or lower ones; HarnessError for what it does not have."""
    if target.unified and sram is not None:
        raise HarnessError(
            f"{target.name} keeps code and data in one memory of {target.data.size:,} bytes: "
            "limit it by --flash alone"
        )
    for name, limit, size in (
        ("flash", flash, target.code.size),
        ("SRAM", sram, target.data.size),
    ):
        if limit is not None and not 0 < limit <= size:
            raise HarnessError(f"{target.name} has {size:,} bytes of {name}, not {limit:,}")
    memory = flash or target.code.size
    if target.unified:
        return Limits((memory,))
    fixed = (target.banks.size,) if target.banks else ()
    return Limits((memory, sram or target.data.size, *fixed))
