"""truecycle targets: the machines that programs are made for."""

from __future__ import annotations

import typer

from kernels.target import targets


def command() -> None:
    """List the targets: clock, code memory, data memory, and where the figures are from."""
    for target in targets().values():
        typer.echo(
            f"{target.name:6} {target.title}: {target.clock_hz / 1e6:g} MHz, "
            f"code {target.code.size:,} bytes at {target.code.origin:#x}, "
            f"data {target.data.size:,} bytes at {target.data.origin:#x} ({target.source})"
        )
