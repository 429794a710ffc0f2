"""Profiles of digits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from models import Model


@pytest.mark.parametrize("target", ["uno", "mega", "cpm", "msx"])
def test_digits_profile(
    digits: Model, target: str, check_profile: Callable[[Model, str], None]
) -> None:
    check_profile(digits, target)
