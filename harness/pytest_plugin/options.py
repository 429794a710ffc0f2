"""The plugin's options; each is also a setting of pytest's configuration file."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from harness.plans import PlanPolicy
from harness.run import DEFAULT_LIMIT
from harness.storage import FOLDER
from harness.writers import WRITERS

DEFAULT_NAME = "saved"
SETTINGS = {
    "cycles_storage": f"folder of saved runs, from pytest's root (default: {FOLDER})",
    "cycles_compare": "NAME that every run is compared with; see --cycles-compare",
    "cycles_fail": "LIMITS that every comparison is held to; see --cycles-fail",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("cycles", "truecycle: cycles, flash and SRAM of compiled networks")
    _add_selection(group)
    _add_comparison(group)
    _add_output(group)
    for name, text in SETTINGS.items():
        parser.addini(name, text, default=None)


def _add_selection(group: pytest.OptionGroup) -> None:
    for what in ("target", "model"):
        group.addoption(
            f"--cycles-{what}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"run only benchmarks whose {what} is NAME; may be repeated",
        )
    group.addoption(
        "--cycles-inputs",
        type=_positive,
        metavar="N",
        help="run only the first N inputs of each model (default: all)",
    )
    group.addoption(
        "--cycles-plan",
        type=PlanPolicy,
        choices=list(PlanPolicy),
        default=PlanPolicy.AUTO,
        metavar="|".join(PlanPolicy),
        help="how encodings are chosen: by rank if that fits, else the fastest that does; the "
        "fastest or the smallest as measured; or by rank alone (default: %(default)s)",
    )
    group.addoption(
        "--cycles-limit",
        type=_positive,
        default=DEFAULT_LIMIT,
        metavar="N",
        help="give an inference up after N cycles (default: %(default)s)",
    )


def _add_comparison(group: pytest.OptionGroup) -> None:
    group.addoption(
        "--cycles-storage", type=Path, metavar="DIR", help=f"folder of saved runs ({FOLDER})"
    )
    group.addoption(
        "--cycles-save", metavar="NAME", help="save each benchmark's results under NAME"
    )
    group.addoption(
        "--cycles-compare",
        nargs="?",
        const=DEFAULT_NAME,
        metavar="NAME",
        help=f"compare with the results saved under NAME (default: {DEFAULT_NAME})",
    )
    group.addoption(
        "--cycles-fail",
        metavar="LIMITS",
        help="fail where figures changed more, as in cycles:0%%,flash:+16,accuracy:-0.1",
    )


def _add_output(group: pytest.OptionGroup) -> None:
    for name, writer in WRITERS.items():
        group.addoption(f"--cycles-{name}", type=Path, metavar="FILE", help=writer.help)
    group.addoption(
        "--cycles-columns",
        type=lambda text: tuple(filter(None, text.split(","))),
        default=(),
        metavar="NAMES",
        help="show only these columns, as in cycles,flash",
    )
    group.addoption(
        "--cycles-sort",
        metavar="NAME",
        help="sort programs by a column, as in mean; with -mean the largest first",
    )
    group.addoption(
        "--cycles-layers",
        type=_layers,
        metavar="all|none|N",
        help="show all layers, none, or the N costliest of each program (default: all)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _layers(text: str) -> int | None:
    if text in {"all", "none"}:
        return None if text == "all" else 0
    return _positive(text)
