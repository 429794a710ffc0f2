"""What is kept on disk: found again, never trusted when damaged, shared by processes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cache import Cache, default_folder
from harness.fingerprint import fingerprint, sources

KEY = fingerprint("a key")


def read(value: Any) -> int:
    return int(value["count"])


def counting(values: list[int]) -> Any:
    """Makes 1, then 2, and so on."""
    values.append(len(values) + 1)
    return {"count": values[-1]}


def test_a_value_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []
    cache = Cache(tmp_path / "new")
    assert [cache.get(KEY, lambda: counting(made), read) for _ in range(3)] == [1, 1, 1]
    assert Cache(tmp_path / "new").get(KEY, lambda: counting(made), read) == 1
    assert (made, cache.hits, cache.misses) == ([1], 2, 1)
    assert cache.get(fingerprint("another"), lambda: counting(made), read) == 2


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({"key": KEY}),
        json.dumps({"key": "another", "value": {"count": 9}}),
        json.dumps({"key": KEY, "value": {"count": "x"}}),
        json.dumps({"key": KEY, "value": {}}),
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_made_again(tmp_path: Path, damaged: str | bytes) -> None:
    cache, made = Cache(tmp_path), [0]
    cache.get(KEY, lambda: counting(made), read)
    (file,) = tmp_path.rglob("*.json")
    file.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    assert cache.get(KEY, lambda: counting(made), read) == 3
    assert cache.get(KEY, lambda: counting(made), read) == 3
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{KEY}.json"]


def test_a_folder_that_cannot_be_written_does_no_harm(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    made: list[int] = []
    cache = Cache(blocked / "cache")
    assert [cache.get(KEY, lambda: counting(made), read) for _ in range(2)] == [1, 2]


def test_many_writers_leave_one_whole_file(tmp_path: Path) -> None:
    def work(number: int) -> int:
        value = {"count": number, "padding": "x" * 100_000}
        return Cache(tmp_path).get(KEY, lambda: value, read)

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(work, range(40)))
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert read(json.loads(file.read_text())["value"]) in answers


def test_the_user_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRUECYCLE_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("TRUECYCLE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "truecycle"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "truecycle"


@dataclass(frozen=True)
class Point:
    """A record."""

    x: int
    y: Any = None


def test_whatever_differs_has_another_fingerprint() -> None:
    zeros = np.zeros(4, np.int8)
    parts: list[Any] = [
        1,
        1.0,
        "1",
        b"1",
        None,
        True,
        (),
        (1,),
        ((1,),),
        ("ab", "c"),
        ("a", "bc"),
        Point(1),
        Point(2),
        Point(1, Point(1)),
        replace(Point(1), y=zeros),
        zeros,
        zeros.reshape(2, 2),
        zeros.astype(np.uint8),
        np.ones(4, np.int8),
        {"a": 1},
        {"b": 1},
    ]
    assert len({fingerprint(part) for part in parts}) == len(parts)
    assert fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    assert fingerprint({"x", "y"}) == fingerprint({"y", "x"})
    assert sources() == sources()
    with pytest.raises(TypeError, match="no fingerprint of object"):
        fingerprint(object())
