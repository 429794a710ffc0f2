"""Tables as soon as they are complete: those of a module, once the last of its tests is done.

With workers the tests of several modules run at the same time; what is printed of each is the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from harness.columns import View
from harness.pytest_plugin.gather import Gatherer, module_of
from harness.result import Result
from harness.terminal import NO_TERMINAL
from harness.text import render_results


def begin_section(reporter: pytest.TerminalReporter, title: str) -> None:
    """A title on a line of its own, wherever the dots of tests stand."""
    reporter.ensure_newline()
    if reporter._tw.width_of_current_line:  # quiet, or with workers
        reporter.line("")
    reporter.section(title)


class ModulePrinter:
    """The part of the plugin that prints while tests run."""

    def __init__(self, config: pytest.Config, gatherer: Gatherer, view: View) -> None:
        self._config, self._gatherer, self._view = config, gatherer, view
        self._open: Counter[str] = Counter()
        self._printed: set[str] = set()

    def expect(self, tests: Sequence[str]) -> None:
        """Which tests will run, in order."""
        self._gatherer.set_order(tests)
        self._open = Counter(map(module_of, tests))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """All that was not deselected."""
        self.expect([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Workers collect; each of them the same."""
        if not self._open:
            self.expect(ids)

    @pytest.hookimpl(trylast=True)  # after what pytest itself says of the test
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has run and has been reported."""
        module = module_of(nodeid)
        self._open[module] -= 1
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if self._open[module] == 0 and reporter is not None:
            self._print(reporter, module)

    def print_rest(self, reporter: pytest.TerminalReporter) -> None:
        """Print what was measured in modules of which not all tests ran."""
        for module in dict.fromkeys(map(module_of, self._gatherer.by_test)):
            if module not in self._printed:
                self._print(reporter, module)

    def _print(self, reporter: pytest.TerminalReporter, module: str) -> None:
        self._printed.add(module)
        gathered = self._gatherer.in_order(module)
        results = [result for one in gathered for result in one.results]
        notes = [note for one in gathered for note in one.notes]
        if not results and not notes:
            return
        begin_section(reporter, f"cycles: {module}")
        if results:
            reporter.write(self._tables(reporter, results))
        for note in notes:
            reporter.write_line(note)

    def _tables(self, reporter: pytest.TerminalReporter, results: Sequence[Result]) -> str:
        out = reporter._tw
        width = out.fullwidth if out.hasmarkup else NO_TERMINAL
        return render_results(results, width, self._view, color=out.hasmarkup)
