"""The end of the run: what was measured in all, files, saved results."""

from __future__ import annotations

import pytest

from harness.pytest_plugin.gather import Gathered
from harness.pytest_plugin.modules import begin_section
from harness.pytest_plugin.session import SESSION, CyclesSession
from harness.result import Result
from harness.writers import WRITERS


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the tables that are still to be printed, and the sum; write files, save results."""
    session = config.stash[SESSION]
    session.printer.print_rest(terminalreporter)
    gathered = session.gatherer.in_order()
    results = [result for one in gathered for result in one.results]
    lines = [
        *session.notes,
        *_measured(results),
        *_compared(session, gathered),
        *_written(session, results),
    ]
    if lines:
        begin_section(terminalreporter, "cycles")
    for line in lines:
        terminalreporter.write_line(line)


def _measured(results: list[Result]) -> list[str]:
    """How many programs, and how many of them can be used."""
    if not results:
        return []
    totals = [result.total for result in results]
    exact = sum(total.bit_exact is True for total in totals)
    wrong = sum(total.bit_exact is False for total in totals)
    unfit = len(totals) - exact - wrong
    parts = [f"{exact} bit-exact", f"{unfit} do not fit", f"{wrong} NOT bit-exact"]
    shown = [part for part in parts if not part.startswith("0 ")]
    return [f"measured {len(totals)} programs: {', '.join(shown)}"]


def _compared(session: CyclesSession, gathered: list[Gathered]) -> list[str]:
    if session.compare is None or not any(one.results for one in gathered):
        return []
    name = session.compare.folder.name
    if session.n_inputs:
        return [f"not compared with {name}, since only some inputs were run"]
    compared, changed = (sum(getattr(one, n) for one in gathered) for n in ("compared", "changed"))
    return [f"compared with {name}: {compared} programs, {changed} of them changed"]


def _written(session: CyclesSession, results: list[Result]) -> list[str]:
    records = sum(len(result.records) for result in results)
    lines = []
    for name, path in session.files.items():
        if results:
            WRITERS[name].write(path, results, session.view)
            lines.append(f"wrote {records} records to {path}")
        else:
            lines.append(f"nothing was measured: {path} is left as it is")
    if session.save:
        files = session.save.save(results)
        lines.append(f"saved {files} benchmarks in {session.save.folder}")
    return lines
