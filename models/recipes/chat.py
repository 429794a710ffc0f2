"""Chat, character by character: 256 counts to the next character, for each chat task.

Protocol A regularizes (weight decay, dropout, varied queries), since its validation queries are
new; protocol B trains on what it is scored on, and does not. What tinychat's documented recipe
leaves open (the inputs' scale, scales per row for ternary weights) was chosen on a slice of
protocol A's training queries.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from models.compress.methods import Distill, Method, PostTraining, PruneUnits, QuantizeAware, Train
from models.compress.options import Schedule, WeightFormat
from models.compress.recipe import Recipe

FULL = (256, 192, 128)
"""Hidden units of z80ai's network."""
MIDDLE = (128, 64)
"""For the project's own data: int8 weights that fit a Mega and CP/M, and pruned ones an UNO."""
NARROW = (256, 176)
SMALL = (192, 96)
WORDY = (188, 64)
INPUT_SCALE = 16.0
INPUT_HIGH = 63
"""Queries are cut at 60 characters, so that no n-gram counts more often."""

GENERALIZE = Schedule(epochs=60, learning_rate=2e-3, weight_decay=0.02, dropout=0.1)
MEMORIZE = Schedule(epochs=80, learning_rate=2e-3, weight_decay=0.0, dropout=0.0, augment=False)


def _generalizing(task: str, hidden: tuple[int, ...]) -> tuple[Recipe, ...]:
    """Recipes for a task under protocol A."""
    made = partial(_recipe, task, hidden=hidden)
    plain = GENERALIZE
    norming = replace(plain, learning_rate=4e-3, dropout=0.05)
    binary = _by_rows(WeightFormat.BINARY, norming)
    ternary = _by_rows(WeightFormat.TERNARY, norming)
    # A trained network only needs a third of the epochs, at a quarter of the learning rate.
    tuned = replace(plain, epochs=plain.epochs // 3, learning_rate=plain.learning_rate / 4)
    teach = Distill(teachers=1, weight=0.6, temperature=1.5, teacher=plain)
    pruning = PruneUnits(0.5, schedule=plain)
    return (
        made(
            "float",
            "float, run with int8 weights and 16-bit activations",
            Train(plain),
            activations="int16",
        ),
        made("int8", "int8 per row, after training", Train(plain), PostTraining(8)),
        made(
            "int4",
            "int4 per row",
            Train(plain),
            QuantizeAware(WeightFormat.INT4, per_row=True, schedule=tuned),
        ),
        made("pruned", "half of the units pruned, int8", Train(plain), pruning),
        made("2bit", "weights in -2..1", _by_shift(WeightFormat.TWO_BIT, plain)),
        made("ternary", "ternary, a scale per row", ternary),
        made(
            "ternary-shift",
            "ternary, a shift per layer",
            _by_shift(WeightFormat.TERNARY, plain),
        ),
        made("ternary-distilled", "ternary, distilled", teach, ternary),
        made("binary", "binary", binary),
        made("binary-distilled", "binary, distilled", teach, binary),
    )


def _memorizing(task: str) -> tuple[Recipe, ...]:
    """Recipes for a task under protocol B."""
    binary = _by_rows(WeightFormat.BINARY, replace(MEMORIZE, learning_rate=4e-3))
    ternary = _by_shift(WeightFormat.TERNARY, MEMORIZE)
    return (
        _recipe(task, "float", "float baseline, run as int8", Train(MEMORIZE)),
        _recipe(task, "ternary", "ternary, a shift per layer", ternary),
        _recipe(task, "ternary-small", "ternary, a shift per layer", ternary, hidden=SMALL),
        _recipe(task, "binary", "binary", binary),
    )


def _ensemble(task: str) -> Recipe:
    """Ternary weights in 25 KB, taught by five float networks."""
    norming = replace(GENERALIZE, learning_rate=4e-3, dropout=0.05)
    teach = Distill(teachers=5, weight=0.6, temperature=1.5, teacher=GENERALIZE)
    chain = (teach, _by_rows(WeightFormat.TERNARY, norming))
    title = "ternary, distilled from five networks"
    return _recipe(task, "ternary-ensemble", title, *chain, hidden=NARROW)


def _wordy(task: str) -> Recipe:
    """Words are counted, too, so fewer units do: a memory of 18 KB."""
    ternary = _by_rows(WeightFormat.TERNARY, replace(MEMORIZE, learning_rate=4e-3))
    title = "ternary, a scale per row, words counted"
    return _recipe(task, "ternary", title, ternary, hidden=WORDY)


def _recipe(
    task: str,
    what: str,
    title: str,
    *chain: Method,
    hidden: tuple[int, ...] = FULL,
    activations: str = "uint8",
) -> Recipe:
    name, title = f"{task}-{what}", f"{task}: {title}"
    return Recipe(name, title, task, hidden, chain, INPUT_SCALE, INPUT_HIGH, activations)


def _by_shift(weights: WeightFormat, schedule: Schedule) -> QuantizeAware:
    """One scale per layer: a shift is all that requantizing takes."""
    return QuantizeAware(weights, schedule=schedule)


def _by_rows(weights: WeightFormat, schedule: Schedule) -> QuantizeAware:
    """A scale per row, and batch normalization."""
    return QuantizeAware(weights, per_row=True, norm=True, schedule=schedule)


RECIPES = (
    *_generalizing("chat-a", MIDDLE),
    *_generalizing("tinychat-a", FULL),
    *_memorizing("chat-b"),
    *_memorizing("tinychat-b"),
    _wordy("chat-b-words"),
    _wordy("tinychat-b-words"),
    _ensemble("tinychat-a"),
)
