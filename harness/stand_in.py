"""A device with more SRAM, on which a layer runs alone that only a whole program has room for.

Alone a layer may need more SRAM than within a network, since its input and output are dense there.
"""

from __future__ import annotations

from kernels.target import Target, targets


def stand_in(target: Target) -> Target | None:
    """The most alike target that has all of this one's instructions and more SRAM, if any."""
    others = [
        other
        for other in targets().values()
        if other.isa == target.isa
        and other.features >= target.features
        and other.code.size >= target.code.size
        and other.data.size > target.data.size
    ]
    return min(others, key=lambda one: (len(one.features), -one.data.size), default=None)
