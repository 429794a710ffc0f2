"""What recipes offer: a training of each, and a model of each whose checkpoint is shipped."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from models import recipes, tasks
from models.compress import checkpoint
from models.compress.recipe import Recipe
from models.model import Evaluation, Model, Reference
from models.registry import register, register_trainer
from models.task import Task
from models.training import Progress, TrainingReport

SHIPPED = Path(__file__).parent.parent / "checkpoints"
RUNS = 200


def load_checkpoint(path: Path, data: Path | None = None) -> Model:
    """The model in a recipe's checkpoint, wherever it lies; its inputs are of the validation set.

    data: the folder for a task that needs one, as for `models.load`. Raises ModelFileError,
    UnknownTask, DataNeeded.
    """
    stored = checkpoint.load(path)
    task = tasks.load_task(str(stored.recipe["task"]), data)
    return _model(stored, task)


def _model(stored: checkpoint.Checkpoint, task: Task) -> Model:
    examples = task.validation
    what = f"{len(examples.labels):,} examples, {task.protocol}"

    def reference_accuracy() -> float:
        from models.compress import trainer  # noqa: PLC0415 - imports torch

        return trainer.float_accuracy(stored.real, stored.settings.input_scale, examples)

    sizes = "-".join(str(size) for size in stored.sizes)
    return Model(
        name=str(stored.recipe["name"]),
        title=f"{stored.recipe['title']}, {sizes}",
        graph=stored.graph,
        inputs=examples.inputs[:RUNS],
        labels=examples.labels[:RUNS],
        evaluation=Evaluation(what, examples.inputs, examples.labels),
        reference=Reference(f"float PyTorch, {what}", reference_accuracy),
        notes=(f"{task.protocol}; trained with seed {stored.seed}",),
    )


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
