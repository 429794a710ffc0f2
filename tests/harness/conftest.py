"""Runs of pytest within pytest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytest_runs import RunPytest

from harness import pytest_plugin
from kernels.target import targets
from models import catalog

sys.path.append(str(Path(__file__).parents[1] / "models"))  # synthetic_chat

# An inner pytest forgets the modules that it was the first to import; registries must stay as known
# as their contents.
catalog()
targets()


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Run pytest in this process with the given arguments, and with no plugin but ours."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*arguments: object) -> pytest.RunResult:
        options = ["-p", "no:cacheprovider", *map(str, arguments)]
        return pytester.runpytest_inprocess(*options, plugins=[pytest_plugin])

    return run
