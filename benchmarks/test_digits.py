"""scikit-learn's 8x8 digits, a 64-32-16-10 MLP in int8: all 360 images of the test split."""

from __future__ import annotations

import pytest

from harness import Measurement


@pytest.mark.cycles(models=["digits-int8"], targets=["uno", "mega", "cpm"])
def test_digits(measured: Measurement) -> None:
    measured.check()
    assert measured.total.accuracy == measured.model.integer_accuracy()
