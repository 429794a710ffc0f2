"""z80ai's tinychat: emulator and reference agree on the characters of its data."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from models import Model


@pytest.mark.parametrize("isa", ["avr", "z80"])
def test_tinychat_whole_split(
    check_split: Callable[[Model, str], None], tinychat: Model, isa: str
) -> None:
    check_split(tinychat, isa)
