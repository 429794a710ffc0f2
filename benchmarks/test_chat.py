"""The project's own chat data: one network, compressed in seven ways, on every device.

Where a network does not fit, the table says so, and by how much. A Mega holds them all, CP/M all
with activations of 8 bits.
"""

from __future__ import annotations

import pytest

from harness import Measurement

WIDE = ("chat-a-float",)
NARROW = tuple(f"chat-a-{how}" for how in ("pruned", "int8", "int4", "2bit", "ternary", "binary"))


@pytest.mark.cycles(models=[*WIDE, *NARROW], targets=["mega"])
def test_mega(measured: Measurement) -> None:
    measured.check()


@pytest.mark.cycles(models=NARROW, targets=["cpm"])
def test_cpm(measured: Measurement) -> None:
    measured.check()


@pytest.mark.cycles(models=[*WIDE, *NARROW], targets=["uno"])
def test_uno(measured: Measurement) -> None:
    """What fits an UNO runs there bit-exact."""
    assert measured.bit_exact or measured.misfit is not None


@pytest.mark.cycles(models=WIDE, targets=["cpm"])
def test_wide(measured: Measurement) -> None:
    """Weights of layers with 16-bit inputs may take two bytes each on a Z80."""
    assert measured.bit_exact or measured.misfit is not None
