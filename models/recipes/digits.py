"""Digits of 8x8 pixels: the perceptron 64-32-16-10 in fewer bits."""

from __future__ import annotations

from models.compress.methods import Distill, Method, PruneUnits, QuantizeAware, Train
from models.compress.options import Schedule, WeightFormat
from models.compress.recipe import Recipe

HIDDEN = (32, 16)
BRIGHTEST = 16
SCHEDULE = Schedule(epochs=100, learning_rate=0.01, batch=64, weight_decay=0.05, dropout=0.0)


def _recipe(what: str, title: str, *chain: Method, activations: str = "uint8") -> Recipe:
    name, title = f"digits-{what}", f"digits: {title}"
    return Recipe(name, title, "digits", HIDDEN, chain, 1 / BRIGHTEST, BRIGHTEST, activations)


RECIPES = (
    _recipe(
        "float",
        "float, run with int8 weights and 16-bit activations",
        Train(SCHEDULE),
        activations="int16",
    ),
    _recipe(
        "pruned",
        "half of the units pruned, int8",
        Train(SCHEDULE),
        PruneUnits(0.5, schedule=SCHEDULE),
    ),
    _recipe(
        "int4", "int4 per row", QuantizeAware(WeightFormat.INT4, per_row=True, schedule=SCHEDULE)
    ),
    _recipe(
        "ternary",
        "ternary, distilled",
        Distill(teacher=SCHEDULE),
        QuantizeAware(WeightFormat.TERNARY, schedule=SCHEDULE),
    ),
    _recipe(
        "binary",
        "binary",
        QuantizeAware(WeightFormat.BINARY, per_row=True, norm=True, schedule=SCHEDULE),
    ),
)
