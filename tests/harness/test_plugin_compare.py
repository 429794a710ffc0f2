"""Saving and comparing: what a run of pytest keeps, and what makes a later one fail."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_runs import RunPytest

from kernels import emit
from kernels.ops.argmax import Argmax

BENCHMARK = """
import pytest
from tiny_model import INPUTS, tiny_model

@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_tiny(cycles, target):
    cycles.measure(tiny_model(), target)
"""
NODE = "test_saved.py::test_tiny[uno]"


@pytest.fixture
def saved(pytester: pytest.Pytester, run_pytest: RunPytest) -> Path:
    """A project with results saved as `before`; the folder of these."""
    pytester.makepyfile(test_saved=BENCHMARK)
    run_pytest("--cycles-save=before").assert_outcomes(passed=2)
    return pytester.path / ".truecycle" / "before"


def change(folder: Path, target: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the saved result of a target."""
    path = folder / f"test_saved.py-test_tiny-{target}.json"
    document = json.loads(path.read_text())
    (result,) = document["results"]
    edit(result)
    path.write_text(json.dumps(document))


def one_cycle_less(result: dict[str, Any]) -> None:
    layer = result["records"][1]
    assert layer["layer"] == "fc"
    layer["cycles_sum"] -= 1
    layer["cycles_max"] -= 1


def test_the_same_results_give_the_same_bytes(saved: Path, run_pytest: RunPytest) -> None:
    files = {path.name: path.read_bytes() for path in saved.iterdir()}
    assert sorted(files) == [f"test_saved.py-test_tiny-{name}.json" for name in ("cpm", "uno")]
    result = run_pytest("--cycles-save=again")
    result.stdout.fnmatch_lines(["saved 2 benchmarks in */.truecycle/again"])
    assert {path.name: path.read_bytes() for path in (saved.parent / "again").iterdir()} == files
    for text in files.values():
        assert list(json.loads(text)) == ["schema", "benchmark", "results"]


def test_equal_results_pass(saved: Path, run_pytest: RunPytest) -> None:
    assert saved.is_dir()
    result = run_pytest("--cycles-compare=before", "--cycles-fail=cycles:0%,flash:0,accuracy:0")
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["compared with before: 2 programs, 0 of them changed"])


def test_one_cycle_fails_and_is_named(saved: Path, run_pytest: RunPytest) -> None:
    change(saved, "uno", one_cycle_less)
    result = run_pytest("--cycles-compare=before", "--cycles-fail=cycles:0%")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1
    lines = [line for line in result.outlines if line.startswith(NODE)]
    assert len(lines) == 1
    assert re.fullmatch(
        rf"{re.escape(NODE)}: tiny on uno, fc \(limit cycles:0%\): "
        r"sum (\d+) -> (\d+) \(\+\S+ %\), max (\d+) -> (\d+) \(\+\S+ %\)",
        lines[0],
    )
    old, new, old_max, new_max = map(int, re.findall(r" (\d+)\b(?! %)", lines[0].split("): ")[1]))
    assert (new - old, new_max - old_max) == (1, 1)
    result.stdout.fnmatch_lines(["compared with before: 2 programs, 1 of them changed"])


def test_a_nop_in_a_kernel_fails(
    saved: Path, run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel itself changes by one cycle: benchmark, layer, old and new are named."""
    assert saved.is_dir()
    key = ("avr", Argmax, None)
    kernel = emit._EMITTERS[key]

    def slower(job: emit.Job) -> None:
        job.code.emit("nop")
        kernel.write(job)

    monkeypatch.setitem(emit._EMITTERS, key, replace(kernel, write=slower))
    result = run_pytest("--cycles-compare=before", "--cycles-fail=cycles:0")
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1
    told = [line for line in result.outlines if line.startswith(f"{NODE}: tiny on uno, ")]
    (line,) = told
    assert line.startswith(f"{NODE}: tiny on uno, best (limit cycles:0): sum ")
    changes = re.findall(r"(min|p95|max) (\d+) -> (\d+)", line)
    assert [name for name, *_ in changes] == ["min", "p95", "max"]
    assert {int(new) - int(old) for _, old, new in changes} == {1}


def test_a_change_within_limits_is_told(saved: Path, run_pytest: RunPytest) -> None:
    change(saved, "uno", one_cycle_less)
    for limits in ((), ("--cycles-fail=cycles:50%",), ("--cycles-fail=flash:0",)):
        result = run_pytest("--cycles-compare=before", *limits)
        result.assert_outcomes(passed=2)
        result.stdout.re_match_lines([rf"since before: {re.escape(NODE)}: tiny on uno, fc: sum "])


def test_saving_again_ends_the_failure(saved: Path, run_pytest: RunPytest) -> None:
    change(saved, "uno", one_cycle_less)
    settings = ("-o", "cycles_compare=before", "-o", "cycles_fail=cycles:0")
    run_pytest(*settings).assert_outcomes(passed=1, failed=1)
    run_pytest(*settings, "--cycles-save=before").assert_outcomes(passed=2)
    run_pytest(*settings).assert_outcomes(passed=2)


def test_saving_some_keeps_the_others(saved: Path, run_pytest: RunPytest) -> None:
    change(saved, "cpm", one_cycle_less)
    run_pytest("--cycles-save=before", "--cycles-target=uno")
    result = run_pytest("--cycles-compare=before", "--cycles-fail=cycles:0")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*tiny on cpm, fc (limit cycles:0): sum *"])


def test_what_was_not_saved_is_told(
    saved: Path, run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(test_other=BENCHMARK.replace('"cpm"', '"mega"'))
    assert saved.is_dir()
    result = run_pytest("test_other.py", "--cycles-compare=before", "--cycles-fail=cycles:0")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "test_other.py::test_tiny?mega?: tiny on mega is not in before",
            "compared with before: 0 programs, 0 of them changed",
        ]
    )


def test_other_inputs_fail(saved: Path, run_pytest: RunPytest, pytester: pytest.Pytester) -> None:
    assert saved.is_dir()
    pytester.makepyfile(test_saved=BENCHMARK.replace("tiny_model()", "tiny_model(INPUTS[::-1])"))
    result = run_pytest("--cycles-compare=before", "--cycles-target=uno")
    result.assert_outcomes(failed=1)
    assert f"{NODE}: the inputs of tiny on uno are not those that were saved: " in "\n".join(
        result.outlines
    )


def test_fewer_inputs_are_not_compared(saved: Path, run_pytest: RunPytest) -> None:
    assert saved.is_dir()
    result = run_pytest("--cycles-compare=before", "--cycles-inputs=1")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["not compared with before, since only some inputs were run"])


def test_a_failing_test_is_not_compared(
    saved: Path, run_pytest: RunPytest, pytester: pytest.Pytester
) -> None:
    change(saved, "uno", one_cycle_less)
    pytester.makepyfile(test_saved=BENCHMARK + "    assert target == 'cpm'\n")
    result = run_pytest("--cycles-compare=before", "--cycles-fail=cycles:0")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*limit cycles*")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2, "results": [{}]}', '{"schema": 1}'][:]
)
def test_a_broken_file_fails_with_one_line(saved: Path, run_pytest: RunPytest, text: str) -> None:
    path = saved / "test_saved.py-test_tiny-uno.json"
    path.write_text(text)
    result = run_pytest("--cycles-compare=before", "--cycles-target=uno")
    result.assert_outcomes(failed=1)
    (line,) = [line for line in result.outlines if line.startswith(str(path))]
    assert "holds no saved results: " in line or line.endswith("schema 1, not 2: record it again")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cycles-compare=absent"], "nothing is saved as absent in */.truecycle: see --cycles-s"),
        (["--cycles-compare"], "nothing is saved as saved in */.truecycle: see --cycles-save"),
        (["--cycles-fail=cycles:0"], "--cycles-fail needs --cycles-compare NAME, to compare with"),
        (["--cycles-save=a/b"], "'a/b' is no name: use letters, digits and any of _.+-"),
        (["--cycles-save=.."], "'..' is no name: use letters, digits and any of _.+-"),
        (["--cycles-compare=before", "--cycles-fail=x"], "'x' is no limit; give some as in "),
        (["--cycles-compare=before", "--cycles-fail=x:1"], "no column is named 'x'; choose of: "),
        (["--cycles-columns=x"], "no column is named 'x'; choose of: model, target, layer, "),
        (["--cycles-sort=-x"], "no column is named 'x'; choose of: model, target, layer, "),
        (["--cycles-layers=-1"], "argument --cycles-layers: '-1' is not a whole number above 0"),
    ],
)
def test_options_that_cannot_be(
    saved: Path,
    run_pytest: RunPytest,
    pytester: pytest.Pytester,
    options: list[str],
    message: str,
) -> None:
    assert saved.is_dir()
    result = run_pytest(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message}*".replace("['", "?'")])
    assert pytester.path.joinpath(".truecycle").exists()


def test_the_storage_may_be_anywhere(
    pytester: pytest.Pytester, run_pytest: RunPytest, tmp_path: Path
) -> None:
    pytester.makepyfile(test_saved=BENCHMARK)
    pytester.makeini("[pytest]\ncycles_storage = kept\n")
    run_pytest("--cycles-save=one").assert_outcomes(passed=2)
    assert len(list((pytester.path / "kept" / "one").iterdir())) == 2
    run_pytest("--cycles-save=one", f"--cycles-storage={tmp_path}").assert_outcomes(passed=2)
    assert len(list((tmp_path / "one").iterdir())) == 2
