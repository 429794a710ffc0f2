"""The examples of docs/models.md run, and it names every task."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models import recipes, tasks

TEXT = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
IMPORT, RECIPE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_a_network_of_one_s_own_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(IMPORT, "models.md", "exec"), {})
    cost, quality = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"[\d,]+ cycles, [\d,]+ bytes of flash, True", cost)
    found = re.fullmatch(r"accuracy ([\d.]+)%, in PyTorch ([\d.]+)%", quality)
    assert found is not None
    integer, real = map(float, found.groups())
    assert min(integer, real) > 94
    assert len(IMPORT.strip().splitlines()) <= 25


def test_the_recipe_is_one() -> None:
    names: dict[str, recipes.Recipe] = {}
    exec(compile(RECIPE, "models.md", "exec"), names)
    assert names["recipe"].describe()["chain"][3]["weights"] == "ternary"


def test_every_task_is_named() -> None:
    named = set(re.findall(r"`([\w-]+)`", TEXT))
    assert set(tasks.names()) <= named
