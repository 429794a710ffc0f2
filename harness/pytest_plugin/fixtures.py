"""The fixtures, and the comparison of what a test measured with what was saved."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pytest
from numpy.typing import NDArray

from harness.compare import compare
from harness.errors import KNOWN_ERRORS
from harness.measure import Measurement, measure
from harness.pytest_plugin.cases import Case
from harness.pytest_plugin.gather import OF_TEST, Gathered
from harness.pytest_plugin.session import SESSION, CyclesSession
from harness.result import result_of
from harness.storage import SavedRun
from kernels.choice import Choices
from kernels.target import Target
from models import Model, load

T = TypeVar("T")
LoadModel = Callable[[str], Model]


class Cycles:
    """What the `cycles` fixture offers to a benchmark."""

    def __init__(self, item: pytest.Item, load_model: LoadModel) -> None:
        self._item, self._load = item, load_model
        self._session = item.config.stash[SESSION]
        self._gathered = item.stash.setdefault(OF_TEST, Gathered())

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
            model = one_line(lambda: self._load(name))
        if self._session.n_inputs and inputs is None:
            model = model.shortened(self._session.n_inputs)
        measurement = one_line(
            lambda: measure(
                model,
                target,
                inputs=inputs,
                encodings=encodings,
                plan=self._session.plan,
                limit=self._session.limit,
                reference_accuracy=self._session.reference_accuracy,
            )
        )
        self._gathered.results.append(result_of(measurement, self._item.nodeid))
        return measurement

    def note(self, text: str) -> None:
        """Print lines behind the table."""
        self._gathered.notes.append(text)


def one_line(action: Callable[[], T]) -> T:
    """Do something; an error that the project foresees fails the test without a traceback."""
    try:
        return action()
    except KNOWN_ERRORS as error:
        message = str(error)
    pytest.fail(message, pytrace=False)  # not within `except`: pytest would show both errors


@pytest.fixture(scope="session")
def load_model() -> LoadModel:
    """How models are loaded by name; override it where a model needs a folder."""
    return load


@pytest.fixture
def cycles(request: pytest.FixtureRequest, load_model: LoadModel) -> Cycles:
    """Measure models on targets; see `harness.pytest_plugin.Cycles`."""
    return Cycles(request.node, load_model)


@pytest.fixture
def measured(request: pytest.FixtureRequest, cycles: Cycles, load_model: LoadModel) -> Measurement:
    """The measurement of the case at hand; see the mark `cycles`."""
    case = getattr(request, "param", None)
    if not isinstance(case, Case):
        pytest.fail("`measured` needs @pytest.mark.cycles(models=[...])", pytrace=False)
    model = case.model
    if isinstance(model, str):
        name = model
        model = one_line(lambda: load_model(name))
    if case.inputs:
        model = model.shortened(case.inputs)
    return cycles.measure(model, case.target)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Compare what a test measured, once it has passed, with what was saved."""
    yield
    gathered = item.stash.get(OF_TEST, None)
    session = item.config.stash[SESSION]
    if gathered and gathered.results and session.compare:
        run = session.compare
        if failures := one_line(lambda: _compare(gathered, run, session)):
            pytest.fail("\n".join(failures), pytrace=False)


def _compare(gathered: Gathered, run: SavedRun, session: CyclesSession) -> list[str]:
    """What changed more than allowed; other changes are noted."""
    if session.n_inputs:
        return []
    name = run.folder.name
    results = gathered.results
    comparison = compare(run.load(results[0].benchmark), results)
    failures, others = comparison.told(session.limits)
    gathered.compared, gathered.changed = comparison.compared, comparison.changed
    gathered.notes.extend(f"{missing} in {name}" for missing in comparison.missing)
    gathered.notes.extend(f"since {name}: {line}" for line in others)
    return failures
