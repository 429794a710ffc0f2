"""Recipes by name: how each compressed network comes about.

    recipes.catalog()                   every recipe
    recipes.find("chat-a-ternary")      one of them

A module of this package offers recipes by a tuple `RECIPES`; there is no central list. Nothing here
imports torch.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from models.compress.recipe import Recipe
from models.errors import UnknownModel


@cache
def catalog() -> tuple[Recipe, ...]:
    """Every recipe, by name; ValueError where two have the same."""
    found: dict[str, Recipe] = {}
    for module in pkgutil.iter_modules(__path__):
        for recipe in importlib.import_module(f"{__name__}.{module.name}").RECIPES:
            if recipe.name in found:
                raise ValueError(f"two recipes are named {recipe.name!r}")
            found[recipe.name] = recipe
    return tuple(found[name] for name in sorted(found))


def find(name: str) -> Recipe:
    """The recipe of that name; UnknownModel, which lists them, where there is none."""
    known = {recipe.name: recipe for recipe in catalog()}
    if name not in known:
        raise UnknownModel(name, known)
    return known[name]
