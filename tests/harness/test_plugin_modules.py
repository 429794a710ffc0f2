"""Tables are printed as soon as the last test of their module is done."""

from __future__ import annotations

import pytest
from pytest_runs import RunPytest

FIRST = """
import pytest
from tiny_model import tiny_model

@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_first(cycles, target):
    cycles.note(f"first on {target}")
    cycles.measure(tiny_model(), target)
"""
SECOND = """
from tiny_model import tiny_model

def test_before(cycles):
    cycles.measure(tiny_model(name="second"), "mega")

def test_fails(cycles):
    assert False

def test_after(cycles):
    cycles.measure(tiny_model(name="later"), "mega")
"""


def places(result: pytest.RunResult, *beginnings: str) -> list[int]:
    """The number of the only line that begins so, for each beginning."""
    found = []
    for text in beginnings:
        (at,) = (n for n, line in enumerate(result.outlines) if line.startswith(text))
        found.append(at)
    return found


@pytest.fixture
def modules(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_1=FIRST, test_2=SECOND, test_3="def test_plain(): pass")


@pytest.mark.usefixtures("modules")
def test_a_table_stands_before_the_next_module(run_pytest: RunPytest) -> None:
    result = run_pytest("-v")
    result.assert_outcomes(passed=5, failed=1)
    order = places(
        result, "test_1.py::test_first[cpm] PASSED", "  tiny   uno        ", "first on uno",
        "first on cpm", "test_2.py::test_before PASSED", "test_2.py::test_after PASSED",
        "  second  mega        ", "  later   mega        ", "test_3.py::test_plain PASSED",
        "measured 4 programs: 4 bit-exact",
    )  # fmt: skip
    assert order == sorted(order)
    assert [line.strip("= ") for line in result.outlines if "= cycles" in line] == [
        "cycles: test_1.py",
        "cycles: test_2.py",
        "cycles",
    ]


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("options", [(), ("-q",), ("-qq",), ("-v",), ("-s",)])
def test_titles_stand_on_lines_of_their_own(
    run_pytest: RunPytest, options: tuple[str, ...]
) -> None:
    result = run_pytest(*options)
    titles = [line for line in result.outlines if "= cycles" in line]
    assert len(titles) == 3
    assert all(line.startswith("====") and line.endswith("====") for line in titles)


@pytest.mark.usefixtures("modules")
def test_what_an_interrupted_run_measured_is_printed(run_pytest: RunPytest) -> None:
    result = run_pytest("-x")
    result.assert_outcomes(passed=3, failed=1)
    failure, table, total = places(
        result, "    def test_fails(cycles):", "  second  mega        ", "measured 3 programs"
    )
    assert failure < table < total
    result.stdout.no_fnmatch_line("*  later   mega *")


@pytest.mark.usefixtures("modules")
def test_deselected_tests_are_not_waited_for(run_pytest: RunPytest) -> None:
    result = run_pytest("-v", "-k", "uno or plain")
    order = places(result, "  tiny   uno        ", "test_3.py::test_plain PASSED")
    assert order == sorted(order)


@pytest.mark.usefixtures("modules")
def test_a_module_that_measures_nothing_prints_nothing(run_pytest: RunPytest) -> None:
    result = run_pytest("-k", "plain")
    result.assert_outcomes(passed=1, deselected=5)
    result.stdout.no_fnmatch_line("*cycles*")
