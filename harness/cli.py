"""The command `truecycle`: the harness without pytest. Its commands stand in `harness.commands`."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Sequence
from importlib import import_module
from os import environ

import typer
from threadpoolctl import threadpool_limits

from harness import commands
from harness.errors import KNOWN_ERRORS

_COMPLETES = "_TRUECYCLE_COMPLETE"  # set where a shell asks for names


def build_app(wanted: str | None = None) -> typer.Typer:
    """The application with every command that is found in its place, or with the one wanted."""
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # a wrong option is told in a line, not in a frame
    )
    names = [found.name for found in pkgutil.iter_modules(commands.__path__)]
    app.callback()(_about)
    for name in [wanted] if wanted in names else names:
        module = import_module(f"{commands.__name__}.{name}")
        app.command(name)(module.command)
    return app


def _about() -> None:
    """Cycle-accurate, emulator-backed benchmarks of compressed neural networks."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; an error that the project foresees is one line and exit code 1."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        wanted = None if _COMPLETES in environ or not given else given[0]
        app = build_app(wanted)
        # Matrices are small: a second thread would only wait, on a core that others emulate on.
        with threadpool_limits(1, "blas"):
            app(arguments, prog_name="truecycle")
    except KNOWN_ERRORS as error:
        typer.echo(f"truecycle: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
