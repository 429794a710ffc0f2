"""The command `truecycle`: the harness without pytest. Its commands stand in `harness.commands`."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from harness import commands
from harness.errors import KNOWN_ERRORS


def build_app() -> typer.Typer:
    """The application with every command that is found in its place."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # a wrong option is told in a line, not in a frame
        help="Cycle-accurate, emulator-backed benchmarks of compressed neural networks.",
    )
    for found in pkgutil.iter_modules(commands.__path__):
        module = import_module(f"{commands.__name__}.{found.name}")
        app.command(found.name)(module.command)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error that the project foresees is one line and exit code 1."""
    try:
        build_app()(arguments, prog_name="truecycle")
    except KNOWN_ERRORS as error:
        typer.echo(f"truecycle: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
