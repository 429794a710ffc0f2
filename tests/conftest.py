"""The summary of what the tests tried: cases by machine, collected from the tests' properties.

Properties travel with the reports, so the table is the same under pytest-xdist. Costs that tests
measure are kept in a folder of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import pytest

pytest_plugins = ["pytester"]  # can only be asked for here, at the top of the tests

_OUTCOMES = ("passed", "failed")


@pytest.fixture(scope="session", autouse=True)
def _own_cache() -> Iterator[None]:
    with TemporaryDirectory(prefix="truecycle-cache-") as folder, pytest.MonkeyPatch.context() as p:
        p.setenv("TRUECYCLE_CACHE", folder)
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a table of the properties `tried`: (case, machine, count, mismatches)."""
    counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    wrong: defaultdict[str, int] = defaultdict(int)
    for outcome in _OUTCOMES:
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "tried" and report.when == "call":
                    case, machine, count, mismatches = value
                    counts[case][machine] += count
                    wrong[case] += mismatches
    if not counts:
        return
    machines = sorted({machine for row in counts.values() for machine in row})
    terminalreporter.section("cases tried")
    terminalreporter.write_line(_line("", [*machines, "mismatches"]))
    for case in sorted(counts):
        cells = [
            f"{counts[case][machine]:,}" if machine in counts[case] else "" for machine in machines
        ]
        terminalreporter.write_line(_line(case, [*cells, str(wrong[case])]))


def _line(case: str, cells: list[str]) -> str:
    return f"{case:<44}" + "".join(f"{cell:>12}" for cell in cells)
