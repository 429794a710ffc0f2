"""What one run of pytest was asked for, and all that it measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.columns import View
from harness.compare import Limit, parse_limits
from harness.errors import KNOWN_ERRORS, HarnessError
from harness.plans import PlanPolicy
from harness.pytest_plugin.gather import Gatherer
from harness.pytest_plugin.modules import ModulePrinter
from harness.storage import FOLDER, SavedRun
from harness.store import check_writable
from harness.writers import WRITERS
from kernels.target import find_target
from models import Model


class CyclesSession:
    """The options, understood, and what is gathered.

    compare, limits: what results are held against, and how; save: where they are saved to. files:
    what to write at the end, by the kind of file. notes: lines for the end of the run.
    Raises HarnessError or CompilerError for options that cannot be.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.targets: list[str] = config.getoption("cycles_target")
        self.models: list[str] = config.getoption("cycles_model")
        self.n_inputs: int | None = config.getoption("cycles_inputs")
        self.plan: PlanPolicy = config.getoption("cycles_plan")
        self.limit: int = config.getoption("cycles_limit")
        self.view = View(
            columns=config.getoption("cycles_columns"),
            sort=config.getoption("cycles_sort"),
            layers=config.getoption("cycles_layers"),
        )
        for name in self.targets:
            find_target(name)
        self.save, self.compare = _runs(config)
        self.limits = _limits(config)
        self.files = _files(config)
        self.gatherer = Gatherer()
        self.printer = ModulePrinter(config, self.gatherer, self.view)
        self.notes: list[str] = []
        self._references: dict[str, float] = {}

    def reference_accuracy(self, model: Model) -> float:
        """The float network's accuracy, computed once per model."""
        if model.name not in self._references:
            self._references[model.name] = model.reference.accuracy()
        return self._references[model.name]


def _runs(config: pytest.Config) -> tuple[SavedRun | None, SavedRun | None]:
    """Where to save to, and what to compare with: not with what is being recorded anew."""
    folder = config.getoption("cycles_storage") or config.getini("cycles_storage") or FOLDER
    storage = config.rootpath / folder
    asked, name = config.getoption("cycles_compare"), _either(config, "cycles_compare")
    save = config.getoption("cycles_save")
    if asked and not SavedRun.named(asked, storage).exists:
        raise HarnessError(f"nothing is saved as {asked} in {storage}: see --cycles-save")
    return (
        SavedRun.named(save, storage) if save else None,
        SavedRun.named(name, storage) if name and name != save else None,
    )


def _limits(config: pytest.Config) -> tuple[Limit, ...]:
    if config.getoption("cycles_fail") and not _either(config, "cycles_compare"):
        raise HarnessError("--cycles-fail needs --cycles-compare NAME, to compare with")
    text = _either(config, "cycles_fail")
    return parse_limits(text) if text else ()


def _files(config: pytest.Config) -> dict[str, Path]:
    files = {}
    for name in WRITERS:
        if path := config.getoption(f"cycles_{name}"):
            check_writable(path)
            files[name] = path
    return files


def _either(config: pytest.Config, name: str) -> str | None:
    """An option, or else the setting of that name."""
    value: str | None = config.getoption(name) or config.getini(name)
    return value


SESSION = pytest.StashKey[CyclesSession]()


def pytest_configure(config: pytest.Config) -> None:
    """Refuse unknown names and unwritable files before anything runs."""
    config.addinivalue_line(
        "markers",
        "cycles(models, targets=None, inputs=(None,)): run the test, which takes the fixture "
        "`measured`, for each model, target and number of inputs",
    )
    try:
        session = CyclesSession(config)
    except KNOWN_ERRORS as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[SESSION] = session
    config.pluginmanager.register(session.gatherer)
    config.pluginmanager.register(session.printer)
