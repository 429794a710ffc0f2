"""scikit-learn's 8x8 digits, a 64-32-16-10 MLP in int8: all 360 images of the test split."""

from __future__ import annotations

import pytest

from harness.pytest_plugin import Cycles
from models import Model


@pytest.mark.parametrize("target", ["uno", "mega", "cpm"])
def test_digits(cycles: Cycles, digits: Model, target: str) -> None:
    measured = cycles.measure(digits, target)
    measured.check()
    assert measured.total.accuracy == digits.integer_accuracy()
