"""Runs of pytest within pytest, and of the command."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Cli, Done
from pytest_runs import RunPytest
from tiny_model import tiny_graph, tiny_model

from harness import pytest_plugin
from harness.cli import build_app, main
from kernels.target import targets
from models import catalog, registry

sys.path.append(str(Path(__file__).parents[1] / "models"))  # synthetic_chat

# An inner pytest forgets the modules that it was the first to import; registries must stay as known
# as their contents.
catalog()
targets()
build_app()


@pytest.fixture
def run_pytest(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Run pytest in this process with the given arguments, and with no plugin but ours."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("CI", "BUILD_NUMBER"):  # where either is set, pytest's summary repeats failures
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> pytest.RunResult:
        options = ["-p", "no:cacheprovider", *map(str, arguments)]
        return pytester.runpytest_inprocess(*options, plugins=[pytest_plugin])

    return run


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Run the command in an empty folder; the models are the project's, `tiny` and `wide`."""
    catalog()
    wide = tiny_graph(np.array([[100, -100, 3]], np.int8))
    for entry in (
        registry.Entry("tiny", "two outputs", None, lambda _: tiny_model()),
        registry.Entry("wide", "large weights", None, lambda _: tiny_model(graph=wide)),
    ):
        monkeypatch.setitem(registry._entries, entry.name, entry)
    monkeypatch.delenv("TRUECYCLE_Z80AI", raising=False)
    for name in ("FORCE_COLOR", "GITHUB_ACTIONS"):  # typer and rich look at them
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        code = caught.value.code
        out, err = capsys.readouterr()
        assert isinstance(code, int)
        assert "Traceback" not in err
        return Done(code, out, err)

    return run
