"""Reports: their figures are those of measurements, their words follow from them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from cli_runs import Cli
from tiny_model import CLASSES, CRAMPED_FLASH, INPUTS, tiny_graph, tiny_model

from harness.executor import Here
from harness.measure import measure
from harness.report.gather import Subject, gather
from harness.report.plots import pareto
from harness.report.words import interpret
from harness.report.write import make_report, write_html_report, write_markdown_report
from kernels.target import find_target
from models import Evaluation, Model

UNO = find_target("uno")


def model(name: str = "tiny", **changes: object) -> Model:
    return replace(
        tiny_model(evaluation=Evaluation("4 examples", INPUTS, CLASSES)), name=name, **changes
    )


@pytest.fixture(scope="module")
def subject() -> Subject:
    return gather(model(), UNO, Here())


def changed(one: Subject, name: str, **fields: object) -> Subject:
    return replace(one, model=replace(one.model, name=name), **fields)


def test_subjects_are_measured(subject: Subject) -> None:
    total = measure(tiny_model(), UNO).total
    assert subject.cycles is not None
    assert (subject.cycles.sum(), subject.cycles.max()) == (total.cycles_sum, total.cycles_max)
    assert (subject.flash, subject.sram) == (total.flash_bytes, total.sram_bytes)
    assert (subject.accuracy, subject.equal, subject.examples) == (1.0, True, 4)
    assert subject.layer_cycles is not None
    assert sum(subject.layer_cycles.values()) == subject.mean


def test_a_misfit_is_a_subject() -> None:
    unfit = gather(model(), CRAMPED_FLASH, Here())
    assert (unfit.cycles, unfit.equal) == (None, None)
    assert unfit.flash > 20
    assert interpret(None, unfit, []) == [f"tiny {unfit.misfit}."]


def test_the_front() -> None:
    points = [(1.0, 5.0), (2.0, 4.0), (2.0, 7.0), (3.0, 7.0), (4.0, 9.0)]
    assert pareto(points) == {(1.0, 5.0), (2.0, 7.0), (4.0, 9.0)}


def test_words_follow_from_the_figures(subject: Subject) -> None:
    slow = changed(
        subject,
        "slow",
        cycles=np.array([4000, 4000]),
        layer_cycles={"fc": 3000.0, "best": 1000.0},
        accuracy=0.9,
        flash=2 * subject.flash,
    )
    fast = changed(
        slow,
        "fast",
        cycles=np.array([1000, 3000]),
        layer_cycles={"fc": 1500.0, "best": 500.0},
        accuracy=0.8,
        flash=subject.flash,
    )
    text = " ".join(interpret(slow, fast, [slow]))
    assert "The bottleneck is fc: 75% of the 2,000 cycles, for 100% of the mult" in text
    assert "1,000 to 3,000 cycles, 95 % of inferences within 3,000" in text
    assert "Against slow, fast costs 10.0 points: 90.0% before, 80.0% after." in text
    assert f"from {2 * subject.flash:,} to {subject.flash:,} bytes (2.0 to 1)" in text
    assert "The method pays in fc (2.0 times)." in text
    assert "it is on the front" in text
    back = " ".join(interpret(fast, slow, [replace(fast, accuracy=0.9)]))
    assert "Latency hardly depends on the input: 4,000 to 4,000 cycles." in back
    assert "slow costs no accuracy" in back
    assert "It does not pay in fc (0.50 times)." in back
    assert "fast are at least as accurate, as small and as fast as slow" in back
    wrong = " ".join(interpret(None, replace(slow, equal=False), []))
    assert "NOT all outputs of 4 examples equal the integer reference's: do not use." in wrong


def test_the_page_holds_all_it_shows(subject: Subject, tmp_path: Path) -> None:
    before = gather(
        model("before", graph=tiny_graph(np.array([[2, 0, 1], [1, 1, 1]], np.int8))), UNO, Here()
    )
    report = make_report(subject, before, [], ["truecycle report a<b"])
    write_html_report(report, tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert not re.search(r'<script|<link|@import|(?:src|href)="(?!#)', page)
    assert "truecycle report a&lt;b" in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert subject.cycles is not None
    assert f"<td>{subject.cycles.max():,}</td>" in page
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 5
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        assert "currentColor" in drawing
    for sentence in report.interpretation:
        assert sentence.replace("'", "&#39;") in page


def test_the_same_report_twice_is_the_same(subject: Subject, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_html_report(make_report(subject, None, [], ["x"]), tmp_path / name)
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_markdown_says_the_same(subject: Subject, tmp_path: Path) -> None:
    report = make_report(subject, None, [], ["truecycle report tiny"])
    write_markdown_report(report, tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    for sentence in report.interpretation:
        assert f"- {sentence}\n" in text
    names = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(names) == len(report.figures) == 3
    for name in names:
        ElementTree.fromstring((tmp_path / name).read_text())
    assert "| fc | index-lists | 6 |" in text
    assert "```sh\ntruecycle report tiny\n```" in text


def test_the_command(cli: Cli) -> None:
    arguments = ("report", "tiny", "--target", "uno", "--before", "wide", "--workers", "1")
    done = cli(*arguments, "--out", "r.html", "--md", "r.md")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-2:] == ["wrote r.html", "wrote r.md"]
    assert "Against tiny, tiny costs no accuracy" in done.out
    assert "<h1>tiny on uno</h1>" in Path("r.html").read_text()
    assert Path("r.md").exists()
    assert cli("report", "tiny", "--target", "uno", "--out", "absent/r.html").code == 1
