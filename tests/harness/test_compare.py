"""Comparison of results: what counts as a change, and which limit it exceeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from known_records import FITTING, LAYER, REMAINDER, TOO_LARGE

from harness.columns import COLUMNS
from harness.compare import Change, compare, parse_limits
from harness.errors import HarnessError
from harness.record import Record
from harness.result import Result

RECORDS = (FITTING, LAYER, REMAINDER)


def result(records: Sequence[Record] = RECORDS, inputs: str = "same") -> Result:
    return Result("test_it", inputs, tuple(records))


def with_layer(**figures: Any) -> Result:
    return result((FITTING, replace(LAYER, **figures), REMAINDER))


def test_equal_results_have_no_changes() -> None:
    found = compare([result()], [result()])
    assert (found.changes, found.compared, found.changed, found.missing) == ((), 1, 0, ())


def test_one_cycle_in_one_layer_is_a_change() -> None:
    assert LAYER.cycles_sum is not None
    found = compare([result()], [with_layer(cycles_sum=LAYER.cycles_sum + 1)])
    assert (found.compared, found.changed) == (1, 1)
    (change,) = found.changes
    assert (change.layer, change.column.name, change.difference) == ("fc1", "sum", 1)
    assert found.told(parse_limits("cycles:0%")) == (
        ["test_it: net on uno, fc1 (limit cycles:0%): sum 123,450,000 -> 123,450,001 (+8.1e-07 %)"],
        [],
    )
    (line,) = found.told(parse_limits("cycles:1%"))[1]
    assert line.startswith("test_it: net on uno, fc1: sum 123,450,000 -> 123,450,001")


@pytest.mark.parametrize(
    ("limit", "old", "new", "exceeded"),
    [
        ("flash:0", 1000, 1001, True),
        ("flash:0", 1000, 999, True),
        ("flash:+0", 1000, 999, False),
        ("flash:-0", 1000, 999, True),
        ("flash:-0", 1000, 1001, False),
        ("flash:16", 1000, 1016, False),
        ("flash:16", 1000, 1017, True),
        ("flash:16", 1000, 983, True),
        ("flash:1%", 1000, 1010, False),
        ("flash:1%", 1000, 1011, True),
        ("flash:+1.5%", 1000, 1016, True),
        ("flash:50%", 0, 1, True),
        ("cycles:0", 1000, 1001, False),
        ("sram:0,flash:0", 1000, 1001, True),
    ],
)
def test_limits(limit: str, old: int, new: int, exceeded: bool) -> None:
    before, after = with_layer(flash_bytes=old), with_layer(flash_bytes=new)
    failures, others = compare([before], [after]).told(parse_limits(limit))
    assert (len(failures), len(others)) == ((1, 0) if exceeded else (0, 1))


@pytest.mark.parametrize(
    ("limit", "new", "exceeded"),
    [
        ("accuracy:0.1", 0.876, False),
        ("accuracy:0.1", 0.8761, True),
        ("accuracy:-0.1", 0.9, False),
        ("accuracy:-0.1", 0.8739, True),
        ("accuracy:1%", 0.8838, True),
        ("accuracy:1%", 0.8837, False),
    ],
)
def test_accuracy_is_in_percentage_points(limit: str, new: float, exceeded: bool) -> None:
    after = result((replace(FITTING, accuracy=new), LAYER, REMAINDER))
    failures, _ = compare([result()], [after]).told(parse_limits(limit))
    assert bool(failures) == exceeded


@pytest.mark.parametrize("limit", ["cycles:99%", "cycles:+999999999"])
def test_a_figure_that_comes_or_goes_exceeds_any_limit(limit: str) -> None:
    unknown = {name: None for name in FITTING.flat() if name.startswith("cycles_")}
    gone = replace(FITTING, **unknown)
    for old, new in ((FITTING, gone), (gone, FITTING)):
        failures, _ = compare([result([old])], [result([new])]).told(parse_limits(limit))
        assert len(failures) == 1
        assert "nothing" in failures[0]


def test_a_layer_that_comes_or_goes_is_a_change() -> None:
    less = result((FITTING, LAYER))
    for old, new in ((result(), less), (less, result())):
        failures, _ = compare([old], [new]).told(parse_limits("cycles:0"))
        (line,) = failures
        assert line.startswith("test_it: net on uno, (rest) (limit cycles:0): sum ")


def test_every_column_can_change() -> None:
    """A program that fits and one that does not differ in all that is no name."""
    changed = {change.column.name for change in compare([result([FITTING])], [unfit()]).changes}
    same = {"model", "target", "sram", "macs", "nonzero"}
    figures = {column.name for column in COLUMNS if column.programs and not column.derived}
    assert changed == figures - same


def unfit() -> Result:
    return result([replace(TOO_LARGE, model="net")])


def test_other_inputs_are_refused() -> None:
    with pytest.raises(HarnessError, match="test_it: the inputs of net on uno are not those that"):
        compare([result()], [result(inputs="other")])


def test_what_was_not_saved_is_missing() -> None:
    other = result([replace(FITTING, target="mega")])
    found = compare([result()], [result(), other, result()])
    assert found.compared == 1
    assert found.missing == ("test_it: net on mega is not", "test_it: net on uno is not")


def test_results_of_one_program_are_paired_in_order() -> None:
    twice = [with_layer(flash_bytes=1), with_layer(flash_bytes=2)]
    assert compare(twice, twice).changes == ()
    (first, second) = compare(twice, twice[::-1]).changes
    assert isinstance(first, Change)
    assert (first.old, first.new, second.old, second.new) == (1, 2, 2, 1)


@pytest.mark.parametrize("text", ["", "cycles", "cycles:", "cycles:x", "cycles:1,", "cycles:-1e3"])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(HarnessError, match="is no limit; give some as in cycles:0%"):
        parse_limits(text)


@pytest.mark.parametrize("name", ["ms", "per-mac", "estimate", "estimates"])
def test_a_limit_of_what_follows_from_others(name: str) -> None:
    with pytest.raises(HarnessError, match=f"{name} follows from other columns: limit those"):
        parse_limits(f"{name}:0")


def test_a_limit_of_no_column() -> None:
    with pytest.raises(HarnessError, match=r"no column is named 'speed'; choose of: model, .*sum"):
        parse_limits("speed:1%")
