"""Profiles of tinychat."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from models import Model


@pytest.mark.parametrize("target", ["mega", "cpm"])
def test_tinychat_profile(
    tinychat: Model, target: str, check_profile: Callable[[Model, str], None]
) -> None:
    check_profile(tinychat, target)
