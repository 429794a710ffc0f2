"""The project's own benchmarks, as far as they need no files but synthetic ones."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets  # noqa: F401 - an inner pytest that imports it first would forget it
import torch  # noqa: F401 - likewise, and it cannot be imported twice
from pytest_runs import RunPytest
from synthetic_chat import LINES, chat_arrays

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
NOTE = "tinychat is not measured: give --z80ai PATH or set TRUECYCLE_Z80AI"


@pytest.fixture(autouse=True)
def _no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUECYCLE_Z80AI", raising=False)


@pytest.fixture
def run_benchmarks(run_pytest: RunPytest, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Run what is named in `benchmarks/`, or all of it, with the project's settings.

    Nothing is compared: the project's baselines are of its real data. Its modules may be named like
    those of the tests in this process, so their paths name them.
    """
    monkeypatch.syspath_prepend(BENCHMARKS)  # for the modules that benchmarks share

    def run(*arguments: object, name: str = "") -> pytest.RunResult:
        settings = ("--rootdir", ROOT, "-c", ROOT / "pyproject.toml", "--import-mode=importlib")
        settings += ("-o", "cycles_compare=")
        return run_pytest(*settings, BENCHMARKS / name, *arguments)

    return run


def write_chat(folder: Path, hidden: tuple[int, ...] = (24, 16), **changes: Any) -> Path:
    """A folder in tinychat's format, with entries of its `model.npz` changed."""
    folder.mkdir()
    np.savez(folder / "model.npz", allow_pickle=True, **(chat_arrays(0, hidden) | changes))
    with gzip.open(folder / "training-data.txt.gz", "wt", encoding="utf-8") as stream:
        stream.write(LINES)
    return folder


def collected(result: pytest.RunResult) -> set[str]:
    """The names of benchmarks, without their parameters."""
    return {line.partition("::")[2].partition("[")[0] for line in result.outlines if "::" in line}


def test_digits_without_data(run_benchmarks: RunPytest) -> None:
    result = run_benchmarks("--cycles-target=uno", "--cycles-inputs=5", name="test_digits.py")
    result.assert_outcomes(passed=1, deselected=2)
    assert result.ret == 0
    result.stdout.re_match_lines(
        [
            r"  digits-int8  uno          5 .* yes$",
            r"digits-int8: accuracy by the integer reference, 360 test images$",
            f"{NOTE}$",
        ]
    )


def test_chat_says_what_does_not_fit(run_benchmarks: RunPytest) -> None:
    result = run_benchmarks("--cycles-inputs=1", "-k", "ternary or int8", name="test_chat.py")
    result.assert_outcomes(passed=6, deselected=15)
    result.stdout.re_match_lines(
        [
            r"  chat-a-int8 +mega .* yes$",
            r"chat-a-int8: a table of reply prefixes that ignores the query reaches 69\.1%$",
            f"{NOTE}$",
        ]
    )


def test_a_few_examples_of_the_split(run_benchmarks: RunPytest) -> None:
    result = run_benchmarks("-k", "digits", name="test_whole_split.py")
    found = r"digits-(float|int8) on \w+: all outputs of 20 examples equal the reference's, "
    assert sum(bool(re.match(found, line)) for line in result.outlines) == 4
    result.assert_outcomes(passed=4, deselected=14)


def test_tinychat_is_left_out_without_data(run_benchmarks: RunPytest) -> None:
    result = run_benchmarks("--collect-only", "-q")
    assert result.ret == 0
    assert {"test_digits", "test_avr_speed", "test_z80_speed"} <= collected(result)
    assert not {"test_tinychat", "test_replies", "test_verdict"} & collected(result)
    result.stdout.fnmatch_lines([NOTE])


def test_tinychat_named_without_data_fails_with_one_line(run_benchmarks: RunPytest) -> None:
    result = run_benchmarks(name="test_tinychat.py")
    assert result.ret == 1
    result.assert_outcomes(errors=5)
    result.stdout.no_fnmatch_line("*KeyError*")
    assert result.outlines.count(NOTE) == 5 + 1


def test_tinychat_is_there_with_data(
    run_benchmarks: RunPytest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_chat(tmp_path / "chat")
    by_option = run_benchmarks("--collect-only", "-q", "--z80ai", folder)
    monkeypatch.setenv("TRUECYCLE_Z80AI", str(folder))
    by_variable = run_benchmarks("--collect-only", "-q")
    for result in (by_option, by_variable):
        assert result.ret == 0
        assert {"test_digits", "test_tinychat", "test_replies", "test_verdict"} <= collected(result)
        result.stdout.no_fnmatch_line(NOTE)


def test_a_synthetic_tinychat_runs(run_benchmarks: RunPytest, tmp_path: Path) -> None:
    """All but the verdict, which is of a large network."""
    folder = write_chat(tmp_path / "chat")
    result = run_benchmarks("--z80ai", folder, "-k", "not verdict", name="test_tinychat.py")
    result.assert_outcomes(passed=4, deselected=1)
    result.stdout.re_match_lines(
        [
            r"  tinychat  mega .* yes$",
            r"  tinychat  cpm .* yes$",
            r"tinychat: accuracy by the integer reference, \d+ characters, teacher-forced",
            r"tinychat: protocol B: ",
            r"tinychat on mega, the first 10 replies:$",
            r"  HELLO THERE +",
            r"tinychat on cpm, the first 10 replies:$",
        ]
    )


def test_the_verdict_on_a_large_tinychat(run_benchmarks: RunPytest, tmp_path: Path) -> None:
    folder = write_chat(tmp_path / "chat", hidden=(256, 256, 256, 256))
    result = run_benchmarks("--z80ai", folder, "-k", "verdict", name="test_tinychat.py")
    result.assert_outcomes(passed=1, deselected=4)
    result.stdout.re_match_lines(
        [r"  tinychat  uno .* NO$", r"tinychat does not fit uno: flash needs "]
    )


class Exploit:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def truncated(folder: Path) -> Path:
    whole = write_chat(folder) / "model.npz"
    whole.write_bytes(whole.read_bytes()[:1000])
    return folder


def without_texts(folder: Path) -> Path:
    (write_chat(folder) / "training-data.txt.gz").unlink()
    return folder


NAN = np.full((24, 256), np.nan, np.float32)
BROKEN: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder, "model.npz: "),
    "empty": (empty, "model.npz: "),
    "truncated": (truncated, "model.npz: expected an .npz archive"),
    "no texts": (without_texts, "training-data.txt.gz: "),
    "NaN": (lambda folder: write_chat(folder, fc1_weight=NAN), "model.npz: fc1_weight: has dtype"),
    "shape": (
        lambda folder: write_chat(folder, fc2_bias=np.zeros(7, np.int16)),
        "model.npz: fc2_bias: has shape (7,), expected (16,)",
    ),
    "pickle": (
        lambda folder: write_chat(
            folder, fc1_weight=np.array([Exploit(folder / "made")] * 3, object)
        ),
        "model.npz: fc1_weight: holds pickled objects",
    ),
}


@pytest.mark.parametrize(("make", "problem"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_folder_is_refused_by_one_line(
    run_benchmarks: RunPytest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], Path],
    problem: str,
) -> None:
    folder = make(tmp_path / "chat")
    by_option = run_benchmarks("--z80ai", folder)
    monkeypatch.setenv("TRUECYCLE_Z80AI", str(folder))
    for result in (by_option, run_benchmarks()):
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        (line,) = [line for line in result.errlines if line]
        assert line.startswith(f"ERROR: {folder}/{problem}")
        assert result.outlines == []
        assert not (folder / "made").exists()
