"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from numpy.typing import NDArray

from harness.plans import PlanPolicy
from kernels.choice import Choices
from kernels.target import targets
from models import Model, names


def complete_model(typed: str) -> Iterator[str]:
    """Models whose names begin so, for the shell."""
    return (name for name in names() if name.startswith(typed))


def complete_target(typed: str) -> Iterator[str]:
    """Targets whose names begin so, for the shell."""
    return (name for name in targets() if name.startswith(typed))


ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A model, `truecycle models` lists them; or a checkpoint file.",
        autocompletion=complete_model,
    ),
]

TargetOption = Annotated[
    str,
    typer.Option(
        "--target",
        help="A target; `truecycle targets` lists them.",
        autocompletion=complete_target,
    ),
]

TargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="A target; may be repeated. Default: all targets.",
        autocompletion=complete_target,
    ),
]

SomeTargetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        help="A target; may be repeated. Default: the smallest of each instruction set that will "
        "do.",
        autocompletion=complete_target,
    ),
]

DataOption = Annotated[
    Path | None, typer.Option("--data", "--z80ai", help="Folder with the model's files.")
]

InputOption = Annotated[
    int, typer.Option("--input", min=0, help="Number of the input to run, from 0.")
]

EncodingOption = Annotated[
    list[str] | None,
    typer.Option(metavar="LAYER=NAME", help="A layer's weight encoding; may be repeated."),
]

PlanOption = Annotated[
    PlanPolicy,
    typer.Option(
        help="How encodings are chosen: by rank if that fits, else the fastest that does; the "
        "fastest or the smallest as measured; or by rank alone."
    ),
]

JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json",
        metavar="FILE",
        allow_dash=True,
        help="Write the result as JSON; to standard output, in place of the text, if FILE is -.",
    ),
]

SchedulerOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Run on Dask's workers, as in tcp://127.0.0.1:8786."),
]

WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes to use. Default: one per core.")
]


def parse_encodings(texts: Sequence[str] | None) -> Choices:
    """`LAYER=NAME` options, by layer."""
    found = {}
    for text in texts or ():
        layer, equals, name = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r} is not LAYER=NAME")
        found[layer] = name
    return found


def chosen_input(model: Model, number: int) -> NDArray[Any]:
    """One of the model's inputs; BadParameter where it has not so many."""
    if number >= len(model.inputs):
        raise typer.BadParameter(f"{model.name} has {len(model.inputs)} inputs, from 0")
    chosen: NDArray[Any] = model.inputs[number]
    return chosen
