"""Tables of known records: golden text, every column, and what goes where it is narrow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from known_records import FITTING, LAYER, LAYER_TOO_LARGE, RECORDS, REMAINDER, TOO_LARGE
from tiny_model import CRAMPED_FLASH, tiny_model

from harness.columns import LAYER_COLUMNS, PROGRAM_COLUMNS, Column
from harness.errors import Difference
from harness.measure import Measurement, measure
from harness.record import Record
from harness.result import Result, result_of
from harness.table import record_table
from harness.text import render, render_results
from kernels.target import find_target

PROGRAMS, LAYERS = (FITTING, TOO_LARGE), (LAYER, REMAINDER, LAYER_TOO_LARGE)
WIDTHS = [20, 60, 80, 100, 120, 150, 200]
TABLE = record_table("title", PROGRAM_COLUMNS, PROGRAMS)
BOTH = pytest.mark.parametrize(
    ("columns", "records"), [(PROGRAM_COLUMNS, PROGRAMS), (LAYER_COLUMNS, LAYERS)]
)

NARROW = """\
programs

  model  target         mean        max      ms   flash  SRAM  exact  accuracy  PyTorch  fits
 ─────────────────────────────────────────────────────────────────────────────────────────────
  net    uno     1,234,567.2  1,600,001  77.160  30,123   612    yes     87.5%    90.0%   yes
  big    uno                                     40,000   612                              NO

(too narrow for: inputs, cycles min, p95, stack, MACs, nonzero, cycles/MAC)
"""

WIDE = """\
by layer

  model  target  layer   encoding     cycles min         mean        p95        max      ms   flash  SRAM     MACs  nonzero  cycles/MAC
 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  net    uno     fc1     index-lists   1,000,000  1,234,500.0  1,500,000  1,600,001  77.160  30,123   604  100,000   54,321       12.35
  net    uno     (rest)                       67         67.2         68         68   0.004      23              0        0

  big    uno     fc1                                                                         39,900        100,000   54,321

"""  # noqa: E501 - 136 columns


def test_golden_programs_where_it_is_narrow() -> None:
    assert render(record_table("programs", PROGRAM_COLUMNS, PROGRAMS), 95) == NARROW


def test_golden_layers() -> None:
    assert render(record_table("by layer", LAYER_COLUMNS, LAYERS), 200) == WIDE


def cells(columns: Sequence[Column], record: Record) -> dict[str, str]:
    return {column.title: column.show(record) for column in columns}


def test_cells_of_a_program() -> None:
    assert cells(PROGRAM_COLUMNS, FITTING) == {
        "model": "net",
        "target": "uno",
        "inputs": "100",
        "cycles min": "1,000,000",
        "mean": "1,234,567.2",
        "p95": "1,500,000",
        "max": "1,600,001",
        "ms": "77.160",
        "flash": "30,123",
        "SRAM": "612",
        "stack": "8",
        "MACs": "100,000",
        "nonzero": "54,321",
        "cycles/MAC": "12.35",
        "exact": "yes",
        "accuracy": "87.5%",
        "PyTorch": "90.0%",
        "fits": "yes",
    }


def test_cells_of_a_program_that_does_not_fit() -> None:
    known = {"model": "big", "target": "uno", "inputs": "0", "flash": "40,000", "SRAM": "612"}
    known |= {"MACs": "100,000", "nonzero": "54,321", "fits": "NO"}
    found = cells(PROGRAM_COLUMNS, TOO_LARGE)
    assert found == dict.fromkeys(found, "") | known


def test_a_wrong_program_shouts() -> None:
    assert cells(PROGRAM_COLUMNS, replace(FITTING, bit_exact=False))["exact"] == "NO"


def test_cells_of_layers() -> None:
    found = cells(LAYER_COLUMNS, LAYER)
    assert (found["layer"], found["encoding"], found["SRAM"]) == ("fc1", "index-lists", "604")
    rest = cells(LAYER_COLUMNS, REMAINDER)
    assert (rest["layer"], rest["encoding"], rest["SRAM"]) == ("(rest)", "", "")
    assert (rest["MACs"], rest["cycles/MAC"], rest["flash"]) == ("0", "", "23")


def test_no_cell_says_none() -> None:
    for record in RECORDS:
        for column in (*PROGRAM_COLUMNS, *LAYER_COLUMNS):
            assert "None" not in column.show(record)


def width_of(table: str) -> int:
    """With the blank that ends the longest line."""
    return max(len(line) for line in table.splitlines()) + 1


@BOTH
@pytest.mark.parametrize("width", WIDTHS)
def test_columns_go_by_rank_and_are_named(
    columns: Sequence[Column], records: Sequence[Record], width: int
) -> None:
    def table(*shown: Column) -> str:
        return render(record_table("title", shown, records), 1000)

    text = render(record_table("title", columns, records), width)
    kept = [column for column in columns if column.title in text.splitlines()[2]]
    gone = sorted(set(columns) - set(kept), key=lambda c: (c.rank, -columns.index(c)))
    named = f"(too narrow for: {', '.join(c.title for c in columns if c in gone)})\n"
    assert text == table(*kept) + (named if gone else "")
    least = max(column.rank for column in kept)
    assert width_of(table(*kept)) <= width or least == 0
    if gone:
        assert least <= gone[0].rank
        assert width_of(table(*(c for c in columns if c in kept or c is gone[0]))) > width


@BOTH
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_ends_in_a_blank(
    columns: Sequence[Column], records: Sequence[Record], width: int
) -> None:
    text = render(record_table("title", columns, records), width)
    assert re.search(r"[ \t]$", text, re.MULTILINE) is None
    assert text.endswith("\n")


def test_names_are_not_taken_for_markup() -> None:
    name = "net[bold] :smile: [/x]"
    text = render(record_table("[title]", PROGRAM_COLUMNS, [replace(FITTING, model=name)]), 200)
    assert f"  {name}  uno  " in text


def test_color_changes_nothing_but_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even in a terminal that rich takes for one of 80 columns."""
    plain = render(TABLE, 170)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    for term in ("xterm", "dumb"):
        monkeypatch.setenv("TERM", term)
        colored = render(TABLE, 170, color=True)
        bare = re.sub(r"\x1b\[[0-9;]*m", "", colored)
        assert [line.rstrip() for line in bare.splitlines()] == plain.splitlines()
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in render(TABLE, 170, color=True)
    assert "\x1b[" not in render(TABLE, 170)


def measured(*records: Record, difference: Difference | None = None) -> Result:
    """A result of these records."""
    found = Measurement(tiny_model(), find_target("uno"), "", records, None, difference, None)
    return result_of(found, "tiny@uno")


def test_programs_come_first_then_layers_then_remarks() -> None:
    text = render_results([measured(FITTING, LAYER), measured(TOO_LARGE, LAYER_TOO_LARGE)], 200)
    programs, layers = text.split("by layer\n")
    assert programs.startswith("cycles per inference\n")
    assert re.findall(r"^  (net|big) .* (yes|NO)$", programs, re.MULTILINE) == [
        ("net", "yes"),
        ("big", "NO"),
    ]
    assert re.findall(r"^  (?:net|big) +uno +(\S+)", layers, re.MULTILINE) == ["fc1", "fc1"]
    assert layers.endswith("\ntiny: accuracy by the emulator, 1 example\ntiny: made by hand\n")


def test_remarks_are_made_once() -> None:
    text = render_results([measured(FITTING, LAYER)] * 3, 200)
    assert text.count("tiny: made by hand\n") == 1
    assert text.count("accuracy by the emulator") == 1


def test_a_misfit_is_remarked_on() -> None:
    text = render_results([result_of(measure(tiny_model(), CRAMPED_FLASH), "tiny")], 200)
    assert re.search(
        r"^tiny does not fit cramped: flash needs \d+ bytes, 20 are available \(\d+ too many\): "
        r"startup \d+, fc \d+, .*$",
        text,
        re.MULTILINE,
    )
    assert "accuracy by" not in text


def test_a_difference_is_remarked_on() -> None:
    wrong = replace(FITTING, bit_exact=False, accuracy_by=None)
    where = Difference(sample=3, tensor="logits", index=1, got=-4, want=5)
    assert (
        "tiny on uno is NOT bit-exact: input 3, logits[1]: emulator -4, reference 5\n"
    ) in render_results([measured(wrong, LAYER, difference=where)], 200)
