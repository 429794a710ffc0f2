"""The end of the run: tables, notes, files, saved results."""

from __future__ import annotations

import pytest

from harness.pytest_plugin.gather import Gathered
from harness.pytest_plugin.session import SESSION, CyclesSession
from harness.result import Result
from harness.terminal import NO_TERMINAL
from harness.text import render_results
from harness.writers import WRITERS


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the tables and notes, write the files, save the results."""
    session = config.stash[SESSION]
    gathered = session.gatherer.in_order()
    results = [result for one in gathered for result in one.results]
    if results:
        out = terminalreporter._tw
        width = out.fullwidth if out.hasmarkup else NO_TERMINAL
        terminalreporter.ensure_newline()
        terminalreporter.section("cycles")
        text = render_results(results, width, session.view, color=out.hasmarkup)
        terminalreporter.write(text)
    for note in (*session.notes, *(note for one in gathered for note in one.notes)):
        terminalreporter.write_line(note)
    for line in (*_compared(session, gathered), *_written(session, results)):
        terminalreporter.write_line(line)


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
