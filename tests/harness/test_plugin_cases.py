"""The mark that makes tests of models, targets and inputs; and which of them run."""

from __future__ import annotations

import pytest
from pytest_runs import RunPytest

MARKED = """
import pytest
from tiny_model import tiny_model

TINY = tiny_model()

@pytest.mark.cycles(models=[TINY], targets=["uno", "cpm"], inputs=[2, None])
def test_tiny(measured):
    measured.check()
    assert measured.total.n_inputs in (2, 4)
"""


def passed(result: pytest.RunResult) -> list[str]:
    """The parameters of tests that passed."""
    return [
        line.partition("[")[2].partition("]")[0] for line in result.outlines if " PASSED" in line
    ]


def test_a_mark_makes_a_test_for_each_case(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makepyfile(MARKED)
    result = run_pytest("-v", "--strict-markers")
    assert passed(result) == ["tiny-uno-2", "tiny-uno", "tiny-cpm-2", "tiny-cpm"]
    rows = [line.split()[1:3] for line in result.outlines if line.startswith("  tiny")][:4]
    assert rows == [["uno", "2"], ["uno", "4"], ["cpm", "2"], ["cpm", "4"]]


def test_models_are_loaded_by_name_as_the_project_says(
    pytester: pytest.Pytester, run_pytest: RunPytest
) -> None:
    pytester.makeconftest(
        """
        import pytest
        from dataclasses import replace
        from tiny_model import tiny_model

        @pytest.fixture(scope="session")
        def load_model():
            return lambda name: replace(tiny_model(), name=name)
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.cycles(["one", "two"], ["mega"])
        def test_it(measured): assert measured.model.name in ("one", "two")

        def test_by_name(cycles): assert cycles.measure("three", "uno").model.name == "three"
        """
    )
    run_pytest().assert_outcomes(passed=3)


def test_without_targets_there_are_all(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(MARKED.replace(', targets=["uno", "cpm"], inputs=[2, None]', ""))
    found = passed(run_pytest("-v"))
    assert {"tiny-uno", "tiny-mega", "tiny-attiny85", "tiny-cpm", "tiny-msx"} <= set(found)


BOTH = """
import pytest
from tiny_model import tiny_model

ONE, TWO = tiny_model(name="one"), tiny_model(name="two")

@pytest.mark.cycles(models=[ONE, TWO], targets=["uno", "cpm"])
def test_marked(measured): pass

@pytest.mark.parametrize("model", [ONE, "two"])
def test_parameter(model): pass

def test_neither(): pass
"""


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ([], 7),
        (["--cycles-model=one"], 4),
        (["--cycles-model=one", "--cycles-model=two"], 7),
        (["--cycles-target=uno"], 5),
        (["--cycles-target=uno", "--cycles-model=two"], 3),
        (["--cycles-model=none"], 1),
    ],
)
def test_models_and_targets_deselect(
    pytester: pytest.Pytester, run_pytest: RunPytest, options: list[str], count: int
) -> None:
    pytester.makepyfile(BOTH)
    run_pytest(*options).assert_outcomes(passed=count, deselected=7 - count)


def test_measured_needs_the_mark(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile("def test_it(measured): pass")
    result = run_pytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["`measured` needs @pytest.mark.cycles(models=[[]...])"])


def test_a_mark_with_other_arguments(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.cycles(speed=3)\ndef test_it(measured): pass\n"
    )
    result = run_pytest()
    assert result.ret != 0
    text = result.stdout.str() + result.stderr.str()
    assert "test_it: pytest.mark.cycles: " in text
    assert "'speed'" in text
