"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

ModelArgument = Annotated[
    str, typer.Argument(help="A model, `truecycle models` lists them; or a checkpoint file.")
]

TargetOption = Annotated[
    str, typer.Option("--target", help="A target; `truecycle targets` lists them.")
]

DataOption = Annotated[
    Path | None, typer.Option("--data", "--z80ai", help="Folder with the model's files.")
]

EncodingOption = Annotated[
    list[str] | None,
    typer.Option(metavar="LAYER=NAME", help="A layer's weight encoding; may be repeated."),
]


def parse_encodings(texts: Sequence[str] | None) -> dict[str, str]:
    """`LAYER=NAME` options, by layer."""
    found = {}
    for text in texts or ():
        layer, equals, name = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text!r} is not LAYER=NAME")
        found[layer] = name
    return found
