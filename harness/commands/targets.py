"""truecycle targets: the machines that programs are made for."""

from __future__ import annotations

from dataclasses import asdict

from harness.options import JsonOption
from harness.terminal import show
from kernels.target import Target, targets


def command(json: JsonOption = None) -> None:
    """List the targets: clock, code memory, data memory, and where the figures are from."""
    found = list(targets().values())
    content = [asdict(one) | {"features": sorted(one.features)} for one in found]
    show("\n".join(map(_line, found)), json, {"targets": content})


def _line(target: Target) -> str:
    return (
        f"{target.name:6} {target.title}: {target.clock_hz / 1e6:g} MHz, "
        f"code {target.code.size:,} bytes at {target.code.origin:#x}, "
        f"data {target.data.size:,} bytes at {target.data.origin:#x} ({target.source})"
    )
