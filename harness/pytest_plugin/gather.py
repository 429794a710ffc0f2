"""What tests measured travels with their reports, from workers, too, to who prints the table."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from harness.result import Result


@dataclass(slots=True)
class Gathered:
    """What a test leaves behind. compared: programs held against saved ones; changed: of these."""

    results: list[Result] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    compared: int = 0
    changed: int = 0


OF_TEST = pytest.StashKey[Gathered]()


def module_of(test: str) -> str:
    """The file of a test, by its node id."""
    return test.partition("::")[0]


class Gatherer:
    """The part of the plugin that receives reports, from this process or from workers."""

    def __init__(self) -> None:
        self.by_test: dict[str, Gathered] = {}
        self._order: dict[str, int] = {}

    def set_order(self, tests: Sequence[str]) -> None:
        """In which order tests were collected."""
        self._order = {test: number for number, test in enumerate(tests)}

    def in_order(self, within: str = "") -> list[Gathered]:
        """What was received, in the order in which tests were collected.

        within: a module, by its file; all of them if empty.
        """
        last = len(self._order)
        tests = [test for test in self.by_test if within in ("", module_of(test))]
        tests.sort(key=lambda test: self._order.get(test, last))
        return [self.by_test[test] for test in tests]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what came with a report."""
        sent: dict[str, Any] | None = getattr(report, "cycles", None)
        if sent is not None:
            results = [Result.from_flat(stored) for stored in sent["results"]]
            self.by_test[report.nodeid] = Gathered(**sent | {"results": results})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Send what a test measured along with the last of its reports, as plain data."""
    report = yield
    if call.when == "teardown" and (gathered := item.stash.get(OF_TEST, None)):
        report.cycles = asdict(gathered)  # type: ignore[attr-defined]
    return report
