"""What recipes offer: a training of each, and a model of each whose checkpoint is shipped."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import recipes, tasks
from models.chat.protocols import ChatTask
from models.chat.talk import Talk
from models.compress import checkpoint
from models.compress.recipe import Recipe
from models.errors import ModelFileError
from models.evaluation import ReplyTable
from models.export import fake_quantized_layers
from models.model import FAKE_QUANTIZED, FLOAT, Evaluation, Model, Reference, Stages
from models.registry import register, register_opener, register_trainer
from models.task import Task
from models.training import Progress, TrainingReport

SHIPPED = Path(__file__).parent.parent / "checkpoints"
MACS_RUN = 1_000_000
FEWEST_RUNS = 10


@register_opener(checkpoint.SUFFIX)
def load_checkpoint(path: Path, data: Path | None = None) -> Model:
    """The model in a recipe's checkpoint, wherever it lies.

    Its inputs are the first of the validation set, about a million multiply-accumulates in all.
    data: the folder for a task that needs one, as for `models.load`. Raises ModelFileError,
    UnknownTask, DataNeeded.
    """
    stored = checkpoint.load(path)
    task = tasks.load_task(str(stored.recipe["task"]), data)
    sizes = (task.train.inputs.shape[1], task.classes)
    if (stored.sizes[0], stored.sizes[-1]) != sizes:
        raise ModelFileError(
            path, None, f"has sizes {stored.sizes}, but {task.name} has {sizes[0]} to {sizes[1]}"
        )
    return _model(stored, task)


def _model(stored: checkpoint.Checkpoint, task: Task) -> Model:
    examples = task.validation
    what = f"{len(examples.labels):,} examples, {task.protocol}"

    def reference_accuracy() -> float:
        from models.compress import trainer  # noqa: PLC0415 - imports torch

        return trainer.float_accuracy(stored.real, stored.settings.input_scale, examples)

    def stages(inputs: NDArray[np.uint8]) -> Stages:
        from models.compress import trainer  # noqa: PLC0415 - imports torch

        scale = stored.settings.input_scale
        return {
            FLOAT: trainer.float_activations(stored.real, scale, inputs),
            FAKE_QUANTIZED: fake_quantized_layers(stored.real, stored.layers, inputs),
        }

    sizes = "-".join(str(size) for size in stored.sizes)
    macs = sum(layer.levels.size for layer in stored.layers)
    runs = max(FEWEST_RUNS, MACS_RUN // macs)
    return Model(
        name=str(stored.recipe["name"]),
        title=f"{stored.recipe['title']}, {sizes}",
        graph=stored.graph,
        inputs=examples.inputs[:runs],
        labels=examples.labels if runs >= len(examples.labels) else None,
        evaluation=Evaluation(what, examples.inputs, examples.labels),
        reference=Reference(f"float PyTorch, {what}", reference_accuracy, stages),
        notes=(f"trained with seed {stored.seed}", *_bracket(task)),
        talk=Talk(task.charset, task.encode) if isinstance(task, ChatTask) else None,
    )


def _bracket(task: Task) -> tuple[str, ...]:
    """What an accuracy on chat is to be read beside."""
    if not isinstance(task, ChatTask):
        return ()
    blind = ReplyTable(task.train_pairs, task.charset).accuracy(task.validation_pairs)
    return (f"a table of reply prefixes that ignores the query reaches {blind:.1%}",)


def _shipped(recipe: Recipe) -> Path:
    return SHIPPED / f"{recipe.name}{checkpoint.SUFFIX}"


def _load(recipe: Recipe, folder: Path) -> Model:
    return load_checkpoint(_shipped(recipe), folder)


def _train(
    recipe: Recipe, seed: int, out: Path | None, progress: Progress, folder: Path
) -> TrainingReport:
    from models.compress import trainer  # noqa: PLC0415 - imports torch

    task = tasks.load_task(recipe.task, folder)
    return trainer.train(recipe, task, seed, out or _shipped(recipe), progress)


_FOLDERS = {entry.name: entry.data for entry in tasks.catalog()}
for _recipe in recipes.catalog():
    register_trainer(_recipe.name, _FOLDERS[_recipe.task])(partial(_train, _recipe))
    if _shipped(_recipe).is_file():
        register(_recipe.name, _recipe.title, _FOLDERS[_recipe.task])(partial(_load, _recipe))
