"""The pytest plugin: a fixture that measures, options, and the cycle table at the end of the run.

def test_digits(cycles):
    cycles.measure("digits-int8", "uno").check()
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from numpy.typing import NDArray

from harness.errors import KNOWN_ERRORS
from harness.measure import Measurement, measure
from harness.run import DEFAULT_LIMIT
from harness.store import check_writable, write_csv, write_json
from harness.table import render_tables
from kernels.choice import Choices
from kernels.target import Target, find_target
from models import Model, load

T = TypeVar("T")

_NO_TERMINAL = 170  # columns, where output goes to a file


class CyclesSession:
    """Everything measured in one run of pytest."""

    def __init__(self, config: pytest.Config) -> None:
        self.targets: list[str] = config.getoption("cycles_target")
        self.n_inputs: int | None = config.getoption("cycles_inputs")
        self.limit: int = config.getoption("cycles_limit")
        self.measurements: list[Measurement] = []
        self.notes: list[str] = []
        self._references: dict[str, float] = {}

    def reference_accuracy(self, model: Model) -> float:
        """The float network's accuracy, computed once per model."""
        if model.name not in self._references:
            self._references[model.name] = model.reference.accuracy()
        return self._references[model.name]


class Cycles:
    """What the `cycles` fixture offers to a benchmark."""

    def __init__(self, session: CyclesSession) -> None:
        self._session = session

    def measure(
        self,
        model: Model | str,
        target: Target | str,
        *,
        inputs: NDArray[Any] | None = None,
        encodings: Choices | None = None,
    ) -> Measurement:
        """Measure, as `harness.measure.measure` does, and add the result to the table.

        What could not be loaded, compiled or run fails the test with one line.
        """
        if isinstance(model, str):
            name = model
            model = one_line(lambda: load(name))
        if self._session.n_inputs and inputs is None:
            model = model.shortened(self._session.n_inputs)
        measurement = one_line(
            lambda: measure(
                model,
                target,
                inputs=inputs,
                encodings=encodings,
                limit=self._session.limit,
                reference_accuracy=self._session.reference_accuracy,
            )
        )
        self._session.measurements.append(measurement)
        return measurement

    def note(self, text: str) -> None:
        """Print lines behind the table."""
        self._session.notes.append(text)


def one_line(action: Callable[[], T]) -> T:
    """Do something; an error that the project foresees fails the test without a traceback."""
    try:
        return action()
    except KNOWN_ERRORS as error:
        message = str(error)
    pytest.fail(message, pytrace=False)  # not within `except`: pytest would show both errors


SESSION = pytest.StashKey[CyclesSession]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("cycles", "truecycle: cycles, flash and SRAM of compiled networks")
    group.addoption(
        "--cycles-target",
        action="append",
        default=[],
        metavar="NAME",
        help="run only benchmarks whose parameter `target` is NAME; may be repeated",
    )
    group.addoption(
        "--cycles-inputs",
        type=_positive,
        metavar="N",
        help="run only the first N inputs of each model (default: all)",
    )
    group.addoption(
        "--cycles-limit",
        type=_positive,
        default=DEFAULT_LIMIT,
        metavar="N",
        help="give an inference up after N cycles (default: %(default)s)",
    )
    for name in ("json", "csv"):
        group.addoption(
            f"--cycles-{name}",
            type=Path,
            metavar="FILE",
            help=f"write the records as {name.upper()}",
        )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse unknown targets and unwritable files before anything runs."""
    session = CyclesSession(config)
    try:
        for name in session.targets:
            find_target(name)
        for option in ("cycles_json", "cycles_csv"):
            if path := config.getoption(option):
                check_writable(path)
    except KNOWN_ERRORS as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[SESSION] = session


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the benchmarks of the targets that were asked for."""
    wanted = config.stash[SESSION].targets
    if not wanted:
        return
    kept = [item for item in items if _target_of(item) in {None, *wanted}]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture
def cycles(request: pytest.FixtureRequest) -> Cycles:
    """Measure models on targets; see `harness.pytest_plugin.Cycles`."""
    if hasattr(request.config, "workerinput"):
        pytest.fail("cycles cannot be collected from pytest-xdist: run without -n", pytrace=False)
    return Cycles(request.config.stash[SESSION])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the tables and notes, and write the files."""
    session = config.stash[SESSION]
    if session.measurements:
        out = terminalreporter._tw
        width = out.fullwidth if out.hasmarkup else _NO_TERMINAL
        terminalreporter.section("cycles")
        terminalreporter.write(render_tables(session.measurements, width, color=out.hasmarkup))
    for note in session.notes:
        terminalreporter.write_line(note)
    _write_files(terminalreporter, config, session.measurements)


def _write_files(
    terminalreporter: pytest.TerminalReporter,
    config: pytest.Config,
    measurements: Sequence[Measurement],
) -> None:
    records = [record for measurement in measurements for record in measurement.records]
    for option, write in (("cycles_json", write_json), ("cycles_csv", write_csv)):
        path = config.getoption(option)
        if path is not None and records:
            write(path, records)
            terminalreporter.write_line(f"wrote {len(records)} records to {path}")
        elif path is not None:
            terminalreporter.write_line(f"nothing was measured: {path} is left as it is")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _target_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    target = callspec.params.get("target") if callspec else None
    if isinstance(target, Target):
        return target.name
    return target if isinstance(target, str) else None
