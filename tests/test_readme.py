"""README's examples run, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_benchmark_passes(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> None:
    (block,) = [block for block in BLOCKS if "def test_" in block]
    if not request.config.pluginmanager.has_plugin("truecycle"):  # run without installing
        pytester.plugins.append("harness.pytest_plugin")
    pytester.makepyfile(block)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["cycles per inference", "*digits-int8*uno*yes*"])


def test_the_script_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = [block for block in BLOCKS if "def test_" not in block]
    exec(compile(block, "README.md", "exec"), {})
    mean, flash, exact = capsys.readouterr().out.split()
    assert f"{float(mean):,.0f} /" in README
    assert f"| {int(flash):,} |" in README
    assert exact == "True"


def test_files_that_it_names_exist() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
