"""Profiles of tinychat."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.parametrize("target", ["mega", "cpm"])
@pytest.mark.parametrize("model", ["tinychat"])
def test_tinychat_profile(
    model: str, target: str, check_profile: Callable[[str, str], None]
) -> None:
    check_profile(model, target)
