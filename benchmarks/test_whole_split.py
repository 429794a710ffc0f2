"""Every exported model on one AVR and one Z80: emulator and reference agree on its examples.

By default on the first of its validation split; `--whole-split` takes all, which takes minutes.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.pytest_plugin import one_line
from models import Model, catalog, load

MODELS = [entry.name for entry in catalog() if entry.data is None]


@pytest.mark.parametrize("isa", ["avr", "z80"])
@pytest.mark.parametrize("model", MODELS)
def test_whole_split(check_split: Callable[[Model, str], None], model: str, isa: str) -> None:
    check_split(one_line(lambda: load(model)), isa)
