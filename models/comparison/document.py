"""The tables, in Markdown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from models.chat.protocols import ChatTask
from models.comparison.figures import Figures, groups_of, sigma
from models.comparison.runs import Run
from models.evaluation import Scores, baselines
from models.task import Task

_HEAD = (
    *("recipe", "network", "bytes", "PyTorch", "fake-quantized", "integer", "sigma", "by seed"),
    *("export loss", "perplexity", "exact replies"),
)
_INTRODUCTION = """# Compression, measured

Written by `truecycle compare`; do not edit. Regenerate it by

    {command}

which takes under an hour on two cores, and goes on where it was interrupted.

Accuracy is of the next character, teacher-forced, or of images, in percent. **PyTorch** is the
float network, with quantized weights where training quantized them, activations in float.
**fake-quantized** is the network in float arithmetic on quantized weights and activations,
**integer** the integer graph that devices compute bit for bit; **export loss** is the largest
difference of these two over the seeds, in points. Figures are means over the seeds; **sigma** is
the standard error of the integer accuracy in points, by {draws:,} bootstrap draws of validation
queries (or images). **bytes** are all parameters, packed plainly: ternary weights five a byte,
biases of 16 or 32 bits, 8-bit multipliers; what a kernel's layout takes is in the cycle tables.
**exact replies** are right to their end. Hyperparameters were never chosen on validation examples.
"""


def document(sections: Sequence[str], command: str, draws: int) -> str:
    """The whole document, given the command that writes it."""
    return "\n".join([_INTRODUCTION.format(command=command, draws=draws), *sections])


def section(task: Task, figures: Mapping[Run, Figures]) -> str:
    """A task's table, with its baselines below the recipes."""
    by_recipe: defaultdict[str, list[Figures]] = defaultdict(list)
    for run, found in figures.items():
        by_recipe[run.recipe].append(found)
    groups = groups_of(task)
    ordered = sorted(by_recipe.values(), key=lambda found: -_mean(found, "integer"))
    seeds = len({run.seed for run in figures})
    rows: list[tuple[str, ...]] = [_HEAD, ("---",) * len(_HEAD)]
    rows += [_row(found, sigma([one.right for one in found], groups)) for found in ordered]
    rows += [_baseline(scores) for scores in baselines(task)]
    examples = len(task.validation.labels)
    if not isinstance(task, ChatTask):
        rows = [row[:-1] for row in rows]  # no replies
    lines = [
        f"## {task.name}",
        "",
        f"{task.protocol}; {examples:,} validation examples, {seeds} seeds.",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    return "\n".join(lines)


def _row(found: Sequence[Figures], error: float) -> tuple[str, ...]:
    return (
        found[0].title,
        "-".join(map(str, found[0].sizes)),
        f"{_mean(found, 'size'):,.0f}",
        _percent(_mean(found, "trained")),
        _percent(_mean(found, "fake_quantized")),
        _percent(_mean(found, "integer")),
        f"{100 * error:.1f}",
        " ".join(_percent(one.integer) for one in found),
        f"{100 * max(one.export_loss for one in found):.2f}",
        f"{_mean(found, 'perplexity'):.2f}",
        "" if found[0].exact is None else _percent(_mean(found, "exact")),
    )


def _baseline(scores: Scores) -> tuple[str, ...]:
    chance = "" if scores.perplexity is None else f"{scores.perplexity:.2f}"
    exact = "" if scores.exact is None else _percent(scores.exact)
    name = f"*{scores.name}*"
    return (name, "", "", "", "", _percent(scores.accuracy), "", "", "", chance, exact)


def _mean(found: Sequence[Figures], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in found]))


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
