"""z80ai's tinychat: emulator and reference agree on the characters of its data."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.pytest_plugin import LoadModel, one_line
from models import Model


@pytest.mark.parametrize("isa", ["avr", "z80"])
def test_tinychat_whole_split(
    check_split: Callable[[Model, str], None], load_model: LoadModel, isa: str
) -> None:
    check_split(one_line(lambda: load_model("tinychat")), isa)
