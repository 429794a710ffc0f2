"""The examples of docs/models.md run, what it names exists, tables are of what is shipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models import recipes, tasks
from models.compress import checkpoint
from models.compress.recipe import Recipe
from models.zoo import recipes as zoo

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "models.md").read_text(encoding="utf-8")
TABLES = (DOCS / "compression.md").read_text(encoding="utf-8")
SHIPPED = [r for r in recipes.catalog() if (zoo.SHIPPED / f"{r.name}.npz").exists()]
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


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []


@pytest.mark.parametrize("recipe", SHIPPED, ids=lambda recipe: recipe.name)
def test_the_tables_are_of_what_is_shipped(recipe: Recipe) -> None:
    """Shipped are the networks of seed 0, whose accuracies come first in their cells."""
    stored = checkpoint.load(zoo.SHIPPED / f"{recipe.name}.npz")
    part = TABLES.partition(f"## {recipe.task}\n")[2].partition("\n## ")[0]
    (row,) = re.findall(rf"^\| {re.escape(recipe.title.partition(': ')[2])} \|.*", part, re.M)
    cells = row.split(" | ")
    assert stored.seed == 0
    assert cells[1] == "-".join(map(str, stored.sizes))
    integer = stored.accuracies["integer graph, the same examples"]
    assert cells[7].split()[0] == f"{100 * integer:.1f}"


def test_no_export_loses_more_than_a_tenth_of_a_point() -> None:
    cells = [row.split(" | ")[8] for row in TABLES.splitlines() if row.count(" | ") >= 9]
    losses = [float(cell) for cell in cells if re.fullmatch(r"\d+\.\d\d", cell)]
    assert len(losses) >= 15
    assert max(losses) <= 0.1
