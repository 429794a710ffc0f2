"""What docs/harness.md shows runs, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sklearn.datasets  # noqa: F401 - an inner pytest that imports it first would forget it
import torch  # noqa: F401 - likewise, and it cannot be imported twice
from cli_runs import Cli
from pytest_runs import RunPytest

DOCS = (Path(__file__).parents[2] / "docs" / "harness.md").read_text(encoding="utf-8")


def test_the_example_passes(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
    pytester.makepyfile(block)
    run_pytest().assert_outcomes(passed=3)


def test_options_of_the_plugin_exist(run_pytest: RunPytest) -> None:
    options = set(re.findall(r"`?(--cycles-[a-z]+)", DOCS))
    text = run_pytest("--help").stdout.str()
    assert len(options) > 10
    assert {option for option in options if f"{option}=" not in text} <= {"--cycles-compare"}


def test_commands_and_their_options_exist(cli: Cli) -> None:
    rows = re.findall(r"^\| `(\w+) [^|]*\|", DOCS, re.MULTILINE)
    assert {"bench", "run", "profile", "verify", "compile", "report", "sweep"} <= set(rows)
    for command in rows:
        assert cli(command, "--help").code == 0
    examples = re.findall(r"`truecycle (\w+)((?:[^`]|\n)*?)`", DOCS)
    for command, words in examples:
        known = cli(command, "--help").out if command in rows else ""
        for option in re.findall(r"--[a-z]+", words):
            assert not known or option in known, (command, option)


@pytest.mark.parametrize("command", ["run", "verify"])
def test_shown_output_is_real(cli: Cli, command: str) -> None:
    """All but the cycles, which kernels change."""
    (shown,) = re.findall(
        rf"`truecycle {command} digits-int8 --target uno`:\n\n```\n(.*?)```", DOCS, re.DOTALL
    )
    done = cli(command, "digits-int8", "--target", "uno")
    assert done.code == 0

    def words(text: str) -> list[str]:
        return re.sub(r"[\d,.]+|─+|\s+", " ", text).split()

    assert words(shown) == words(done.out)
