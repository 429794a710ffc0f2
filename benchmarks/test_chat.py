"""The project's own chat data: one network, compressed in seven ways, on every device.

Where a network does not fit, the table says so, and by how much; a Mega and CP/M hold them all.
"""

from __future__ import annotations

import pytest

from harness import Measurement

METHODS = ("float", "pruned", "int8", "int4", "2bit", "ternary", "binary")
MODELS = [f"chat-a-{method}" for method in METHODS]


@pytest.mark.cycles(models=MODELS, targets=["mega", "cpm"])
def test_chat(measured: Measurement) -> None:
    measured.check()


@pytest.mark.cycles(models=MODELS, targets=["uno"])
def test_verdict(measured: Measurement) -> None:
    """What fits an UNO runs there bit-exact."""
    assert measured.bit_exact or measured.misfit is not None
