"""truecycle compile: the program's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.image_files import IMAGE_FILES, write_image
from harness.options import (
    DataOption,
    EncodingOption,
    JsonOption,
    ModelArgument,
    PlanOption,
    TargetOption,
    parse_encodings,
)
from harness.plans import PlanPolicy, compile_model
from harness.store import check_writable
from harness.table import Heading, Table
from harness.terminal import as_text, show
from kernels.image import Program
from kernels.target import find_target
from models import load


def command(
    model: ModelArgument,
    target: TargetOption,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            "-o",
            help=f"A file to write, of the kind that its ending says: {', '.join(IMAGE_FILES)}; "
            "may be repeated.",
        ),
    ] = None,
    data: DataOption = None,
    encoding: EncodingOption = None,
    plan: PlanOption = PlanPolicy.AUTO,
    json: JsonOption = None,
) -> None:
    """Compile a model for a target: the memory that it takes, and files to flash, load or read.

    Exits with 1 where it does not fit.
    """
    for path in out or ():
        check_writable(path)
        if path.suffix not in IMAGE_FILES:
            raise typer.BadParameter(f"{path} ends in none of {', '.join(IMAGE_FILES)}")
    loaded = load(model, data)
    program = compile_model(loaded, find_target(target), plan, parse_encodings(encoding))
    for path in out or ():
        write_image(program, path)
    content = {
        "model": model,
        "target": target,
        "flash_bytes": program.flash,
        "arena_bytes": program.arena.size,
        "entry": program.entry,
        "encodings": {layer: str(choice) for layer, choice in program.choices.items()},
        "parts": [
            {"name": p.name, "layer": p.layer, "kind": p.kind, "address": p.address, "size": p.size}
            for p in program.image.parts
        ],
        "files": [str(path) for path in out or ()],
    }
    lines = [f"wrote {path}" for path in out or ()]
    show("\n".join([as_text(_table(program)), *lines]), json, content)


def _table(program: Program) -> Table:
    title = (
        f"{program.graph.name} for {program.target.name}: {program.flash:,} bytes, "
        f"arena {program.arena.size:,} bytes, entry {program.entry:#x}"
    )
    headings = (Heading("part", left=True), *map(Heading, ("address", "size")))
    rows = tuple((p.name, f"{p.address:#06x}", f"{p.size:,}") for p in program.image.parts)
    return Table(title, headings, rows)
