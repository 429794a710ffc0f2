"""What a run of pytest shows and writes: columns, order, layers, files; the same from workers."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from pytest_runs import RunPytest

ROOT = Path(__file__).parents[2]
BENCHMARK = """
import pytest
from tiny_model import INPUTS, tiny_model

@pytest.mark.parametrize("target", ["uno", "cpm", "mega"])
def test_tiny(cycles, target):
    cycles.note(f"on {target}")
    cycles.measure(tiny_model(), target)

def test_later(cycles):
    cycles.measure(tiny_model(name="later"), "uno")
"""


def tables(result: pytest.RunResult) -> tuple[list[list[str]], list[list[str]]]:
    """The words of each line of the two tables, the headings first."""
    programs, layers = [], []
    into = None
    for line in result.outlines:
        into = {"cycles per inference": programs, "by layer": layers}.get(line, into)
        if into is not None and re.match(r"  \w", line):
            into.append(line.split())
    return programs, layers


def test_columns(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(BENCHMARK)
    programs, layers = tables(run_pytest("--cycles-columns=flash,cycles,encoding,accuracy"))
    cycles = ["cycles", "sum", "cycles", "min", "mean", "p95", "max"]
    assert programs[0] == ["model", "target", "flash", *cycles, "accuracy"]
    assert layers[0] == ["model", "target", "layer", "flash", *cycles, "encoding"]


def test_sort(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(BENCHMARK)
    for option, expected in (
        ("max", ["uno", "uno", "mega", "cpm"]),
        ("-max", ["cpm", "mega", "uno", "uno"]),
        ("model", ["uno", "uno", "cpm", "mega"]),
    ):
        programs, layers = tables(run_pytest(f"--cycles-sort={option}"))
        assert [row[1] for row in programs[1:]] == expected
        assert [row[1] for row in layers[1:]] == [name for name in expected for _ in range(3)]


def test_what_does_not_fit_comes_last(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(
        """
        from tiny_model import CRAMPED_FLASH, tiny_model
        def test_it(cycles):
            for target in (CRAMPED_FLASH, "uno"):
                cycles.measure(tiny_model(), target)
        """
    )
    for option in ("mean", "-mean"):
        programs, _ = tables(run_pytest(f"--cycles-sort={option}"))
        assert [row[1] for row in programs[1:]] == ["uno", "cramped"]


def test_layers(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(BENCHMARK)
    found = {n: tables(run_pytest(f"--cycles-layers={n}"))[1] for n in ("all", "none", "1", "2")}
    assert found["none"] == []
    assert [row[2] for row in found["all"][1:]] == ["fc", "best", "(rest)"] * 4
    assert [row[2] for row in found["1"][1:]] == ["fc"] * 4
    assert [row[2] for row in found["2"][1:]] == ["fc", "best"] * 4


def test_markdown_and_html(pytester: pytest.Pytester, run_pytest: RunPytest) -> None:
    pytester.makepyfile(BENCHMARK.replace('name="later"', 'name="a|b<i>"'))
    result = run_pytest("--cycles-md=a.md", "--cycles-html=a.html", "--cycles-columns=max,flash")
    result.stdout.fnmatch_lines(["wrote 16 records to a.md", "wrote 16 records to a.html"])
    programs, layers = tables(result)
    text = Path("a.md").read_text()
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert [row for row in rows if "max" in row] == [programs[0], layers[0]]
    assert ["a\\|b\\<i>", "uno", *programs[-1][2:]] in rows
    assert "- tiny: made by hand\n" in text
    page = Path("a.html").read_text()
    assert "a|b&lt;i&gt;" in page
    assert f"<td>{programs[1][2]}</td>" in page
    assert "<li>tiny: made by hand</li>" in page
    assert not re.search(r"https?:|<script|<link|@import|url\(", page)


@pytest.fixture
def run_alone(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunPytest:
    """Run pytest in a process of its own, which may start workers that load the plugin, too."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    folders = [str(ROOT), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, folders)))

    def run(*arguments: object) -> pytest.RunResult:
        plugins = ("-p", "harness.pytest_plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider")
        return pytester.runpytest_subprocess(*plugins, *map(str, arguments))

    return run


def documents(folder: Path) -> dict[str, str]:
    """All files in a folder but for what tells the time."""
    return {
        path.name: re.sub(r'"created": ".*"', '"created": ""', path.read_text())
        for path in sorted(folder.iterdir())
    }


def test_workers_give_the_same_output(pytester: pytest.Pytester, run_alone: RunPytest) -> None:
    pytester.makepyfile(BENCHMARK)
    shown, files = [], []
    for workers in ((), ("-n", "2")):
        folder = pytester.mkdir(f"out{len(files)}")
        kinds = ("json", "csv", "md", "html")
        options = [f"--cycles-{kind}={folder}/a.{kind}" for kind in kinds]
        result = run_alone(*workers, *options, "--cycles-save=it", f"--cycles-storage={folder}")
        result.assert_outcomes(passed=4)
        lines = result.outlines
        first = lines.index("cycles per inference")
        shown.append([line for line in lines[first:-1] if str(folder) not in line])
        saved = documents(folder / "it")
        (folder / "it").rename(pytester.path / f"it{len(files)}")
        files.append((documents(folder), saved))
    assert shown[0] == shown[1]
    assert files[0] == files[1]
    assert [line for line in shown[0] if line.startswith("on ")] == ["on uno", "on cpm", "on mega"]
    assert len(json.loads(files[1][0]["a.json"])["records"]) == 16


def test_workers_compare(pytester: pytest.Pytester, run_alone: RunPytest) -> None:
    pytester.makepyfile(BENCHMARK)
    run_alone("--cycles-save=it", "-k", "uno")
    path = next((pytester.path / ".truecycle" / "it").glob("*uno*"))
    document = json.loads(path.read_text())
    document["results"][0]["records"][1]["cycles_max"] += 1
    path.write_text(json.dumps(document))
    result = run_alone("-n", "2", "--cycles-compare=it", "--cycles-fail=cycles:0")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*::test_tiny?uno?: tiny on uno, fc (limit cycles:0): max *",
            "compared with it: 1 programs, 1 of them changed",
        ]
    )
