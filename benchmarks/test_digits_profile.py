"""Profiles of digits."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.parametrize("target", ["uno", "mega", "cpm", "msx"])
@pytest.mark.parametrize("model", ["digits-int8"])
def test_digits_profile(model: str, target: str, check_profile: Callable[[str, str], None]) -> None:
    check_profile(model, target)
