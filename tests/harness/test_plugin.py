"""The pytest plugin, in runs of pytest on little projects."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest
from pytest_runs import RunPytest

ROOT = Path(__file__).parents[2]

TINY = """
import pytest
from tiny_model import CRAMPED_FLASH, INPUTS, tiny_model

"""
BENCHMARK = (
    TINY
    + """
@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_tiny(cycles, target):
    cycles.measure(tiny_model(), target).check()
"""
)


def failure(result: pytest.RunResult) -> list[str]:
    """The lines below the title of the only failure."""
    result.assert_outcomes(failed=1)
    (text,) = re.findall(
        r"^_+ test_\S+ _+\n(.*?)^=+ ", result.stdout.str(), re.MULTILINE | re.DOTALL
    )
    lines: list[str] = text.splitlines()
    return lines


def usage_error(result: pytest.RunResult) -> str:
    """The only line of an error that stops pytest before anything runs."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "passed" not in result.stdout.str()
    assert "Traceback" not in result.stderr.str()
    lines = [line for line in result.errlines if not line.startswith("ERROR: usage: ")]
    (line,) = [line for line in lines if "error: " in line.lower()]
    return line


def test_a_benchmark_prints_the_table(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(BENCHMARK)
    result = run_pytest()
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.re_match_lines(
        [
            r"=+ cycles: test_a_benchmark_prints_the_table.py =+$",
            r"cycles per inference$",
            r"  model  target  inputs .* fits$",
            r"  tiny   uno          4 .* yes  +75\.0%  +87\.5% +yes$",
            r"  tiny   cpm          4 .* yes  +75\.0%  +87\.5% +yes$",
            r"by layer$",
            r"  tiny   uno     fc      index-lists ",
            r"  tiny   uno     best ",
            r"  tiny   uno     \(rest\) ",
            r"  tiny   cpm     fc ",
            r"tiny: accuracy by the emulator, 1 example$",
            r"tiny: made by hand$",
        ]
    )


def test_the_plugin_works_in_a_process_of_its_own(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if not request.config.pluginmanager.has_plugin("truecycle"):
        pytester.plugins.append("harness.pytest_plugin")
    path = [str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    pytester.makepyfile(BENCHMARK)
    result = pytester.runpytest_subprocess("-k", "uno")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.re_match_lines([r"  tiny   uno          4 .* yes$"])


def test_an_unknown_model_fails_with_one_line(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile("def test_it(cycles): cycles.measure('nothing', 'uno')")
    (line,) = failure(run_pytest())
    assert line.startswith("no model is named 'nothing'; choose one of: chat-a-2bit, ")


def test_an_unknown_target_fails_with_one_line(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(TINY + "def test_it(cycles): cycles.measure(tiny_model(), 'pdp11')")
    (line,) = failure(run_pytest())
    assert line.startswith("unknown target 'pdp11'; known targets: uno, ")


def test_a_run_over_the_limit_fails_with_one_line(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(BENCHMARK)
    result = run_pytest("--cycles-limit", 20, "--cycles-target", "uno")
    (line,) = failure(result)
    assert re.fullmatch(
        r"tiny on uno: .*limit.* at \w+ \+ \d+ \(pc 0x\w+\), after \d+ cycles", line
    )
    result.stdout.no_fnmatch_line("*cycles per inference*")


def test_a_misfit_is_in_the_table_and_fails_only_a_check(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(
        TINY
        + """
def test_measure(cycles): cycles.measure(tiny_model(), CRAMPED_FLASH)
def test_check(cycles): cycles.measure(tiny_model(), CRAMPED_FLASH).check()
"""
    )
    result = run_pytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.re_match_lines(
        [r"  tiny   cramped  .* NO$", r"E .*DoesNotFit: does not fit cramped: flash needs "]
    )
    assert result.stdout.str().count("\ntiny does not fit cramped: flash needs ") == 1


THREE = (
    TINY
    + """
from kernels.avr.targets import MEGA

@pytest.mark.parametrize("target", ["uno", MEGA, "cpm"])
def test_targets(target): pass

@pytest.mark.parametrize("target", [None, ["a", "list"]])
def test_no_target(target): pass

def test_no_parameter(): pass
"""
)


@pytest.mark.parametrize(
    ("names", "passed"), [(["uno"], 4), (["mega"], 4), (["uno", "cpm"], 5), ([], 6)]
)
def test_targets_deselect(
    pytester: pytest.Pytester, run_pytest: RunPytest, names: list[str], passed: int
) -> None:
    pytester.makepyfile(THREE)
    result = run_pytest(*(f"--cycles-target={name}" for name in names))
    result.assert_outcomes(passed=passed, deselected=6 - passed)


def test_targets_keep_the_right_ones(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(BENCHMARK)
    result = run_pytest("-v", "--cycles-target=cpm")
    result.stdout.fnmatch_lines(["*::test_tiny?cpm? PASSED*"])
    result.stdout.no_fnmatch_line("*uno*")


def test_an_unknown_target_is_a_usage_error(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(BENCHMARK)
    line = usage_error(run_pytest("--cycles-target=uno", "--cycles-target=pdp11"))
    assert line.startswith("ERROR: unknown target 'pdp11'; known targets: uno, ")


@pytest.mark.parametrize("option", ["--cycles-inputs", "--cycles-limit"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "two", ""])
def test_a_number_that_is_none(
    pytester: pytest.Pytester, run_pytest: RunPytest, option: str, value: str
) -> None:
    pytester.makepyfile(BENCHMARK)
    line = usage_error(run_pytest(f"{option}={value}"))
    assert f"argument {option}: '{value}' is not a whole number above 0" in line


def test_fewer_inputs_leave_accuracy_to_the_reference(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(
        TINY
        + """
def test_own(cycles):
    total = cycles.measure(tiny_model(), "uno").total
    assert (total.n_inputs, total.accuracy, total.accuracy_by) == (2, 1.0, "integer reference")

def test_given(cycles):
    total = cycles.measure(tiny_model(), "uno", inputs=INPUTS[:3]).total
    assert (total.n_inputs, total.accuracy) == (3, None)
"""
    )
    run_pytest("--cycles-inputs=2").assert_outcomes(passed=2)


def test_encodings_reach_the_compiler(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(
        TINY
        + """
def test_it(cycles):
    measured = cycles.measure(tiny_model(), "uno", encodings={"fc": "dense8"})
    assert measured.records[1].encoding == "dense8"
"""
    )
    run_pytest().assert_outcomes(passed=1)


def test_the_reference_s_accuracy_is_found_once(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(
        TINY
        + """
from models import Reference

CALLS = []

@pytest.mark.parametrize("target", ["uno", "mega", "cpm"])
def test_it(cycles, target):
    reference = Reference("", lambda: CALLS.append(target) or 0.5)
    total = cycles.measure(tiny_model(reference=reference), target).total
    assert (total.reference_accuracy, CALLS) == (0.5, ["uno"])
"""
    )
    run_pytest().assert_outcomes(passed=3)


def test_files_are_written_also_when_tests_fail(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(
        TINY
        + """
@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_tiny(cycles, target):
    measured = cycles.measure(tiny_model(), target)
    assert measured.total.target == "cpm"
"""
    )
    result = run_pytest("--cycles-json=a.json", "--cycles-csv", pytester.path / "a.csv")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["wrote 8 records to a.json", "wrote 8 records to *a.csv"])
    records = json.loads(Path("a.json").read_text())["records"]
    with Path("a.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for found in (records, rows):
        assert [record["target"] for record in found] == ["uno"] * 4 + ["cpm"] * 4
        assert [record["layer"] or None for record in found] == [None, "fc", "best", "(rest)"] * 2


@pytest.mark.parametrize("option", ["--cycles-json", "--cycles-csv"])
def test_a_file_that_cannot_be_written_is_a_usage_error(
    pytester: pytest.Pytester, run_pytest: RunPytest, option: str
) -> None:
    pytester.makepyfile(BENCHMARK)
    for bad in ("absent/file", "."):
        line = usage_error(run_pytest(option, bad))
        assert line == f"ERROR: {bad} cannot be written: give a file in an existing folder"


def test_notes_are_printed_behind_the_tables(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(
        TINY
        + """
def test_it(cycles):
    cycles.note("first\\nsecond")
    cycles.measure(tiny_model(), "uno")
"""
    )
    result = run_pytest()
    result.stdout.fnmatch_lines(["by layer", "tiny: made by hand", "first", "second"])


def test_notes_need_no_measurement(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile("def test_it(cycles): cycles.note('this only')")
    result = run_pytest()
    result.stdout.re_match_lines([r"=+ cycles: test_notes_\w+.py =+$", "this only$"])
    result.stdout.no_fnmatch_line("*cycles per inference*")
    result.stdout.no_fnmatch_line("measured *")


def test_the_table_keeps_to_the_terminal(
    pytester: pytest.Pytester, run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(BENCHMARK)
    monkeypatch.setenv("COLUMNS", "80")
    narrow, wide = (run_pytest(f"--color={on}").stdout.str() for on in ("yes", "no"))
    assert "(too narrow for: inputs, cycles min, " in narrow
    assert "too narrow" not in wide
    bare = re.sub(r"\x1b\[[0-9;]*m", "", narrow)
    (header,) = re.findall(r"^  model  target .* fits", bare, re.MULTILINE)
    assert len(header) < 80


PLAIN = """
import pytest

@pytest.fixture
def own(): return 1

@pytest.mark.parametrize("target", ["staging", ["a", "list"], None])
def test_it(own, target): assert own
"""


def test_a_project_without_benchmarks_sees_nothing_of_it(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(PLAIN)
    result = run_pytest("--strict-markers", "--strict-config", "-W", "error")
    result.assert_outcomes(passed=3)
    assert result.ret == 0
    *_, dots, _, last = result.outlines
    assert re.fullmatch(r"test_\w+\.py \.\.\. +\[100%\]", dots)
    assert re.fullmatch(r"=+ 3 passed in .*s =+", last)


def test_a_project_s_own_cycles_are_its_own(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef cycles(): return 7\n")
    pytester.makepyfile("def test_it(cycles): assert cycles == 7")
    run_pytest().assert_outcomes(passed=1)


def test_help_shows_the_options(run_pytest: RunPytest) -> None:
    result = run_pytest("--help")
    result.stdout.fnmatch_lines(["truecycle: cycles, flash and SRAM of compiled networks:"])
    for option in ("target=NAME", "inputs=N", "limit=N", "json=FILE", "csv=FILE"):
        result.stdout.fnmatch_lines([f"  --cycles-{option}*"])
