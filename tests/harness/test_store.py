"""Records in files: what is in them, that they come back, and what they say of their origin."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import fields
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from known_records import FITTING, RECORDS, TOO_LARGE

from harness import store
from harness.errors import HarnessError
from harness.record import SCHEMA, Record

FIELDS = [field.name for field in fields(Record)]


def written_json(path: Path) -> dict[str, Any]:
    store.write_json(path, RECORDS)
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def written_csv(path: Path) -> list[dict[str, str]]:
    store.write_csv(path, RECORDS)
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_json_names_schema_time_commit_and_tools(tmp_path: Path) -> None:
    document = written_json(tmp_path / "a.json")
    assert list(document) == ["schema", "created", "commit", "tools", "records"]
    assert document["schema"] == SCHEMA == 2
    assert document["commit"] == store.commit()
    assert document["tools"] == store.tools()
    created = datetime.fromisoformat(document["created"])
    assert created.utcoffset() == timedelta(0)
    assert abs(datetime.now(created.tzinfo) - created) < timedelta(minutes=1)


def test_json_gives_the_records_back(tmp_path: Path) -> None:
    document = written_json(tmp_path / "a.json")
    assert tuple(Record(**fields) for fields in document["records"]) == RECORDS
    assert list(document["records"][0]) == FIELDS


def test_json_ends_with_a_line_end(tmp_path: Path) -> None:
    written_json(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text().endswith("}\n")


def test_two_runs_differ_only_in_the_time(tmp_path: Path) -> None:
    first, second = (written_json(tmp_path / name) for name in ("a.json", "b.json"))
    assert first | {"created": ""} == second | {"created": ""}
    written_csv(tmp_path / "a.csv")
    written_csv(tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_csv_has_a_column_per_field_and_the_origin(tmp_path: Path) -> None:
    rows = written_csv(tmp_path / "a.csv")
    assert list(rows[0]) == [*FIELDS, "schema", "commit", "tools"]
    assert len(rows) == len(RECORDS)
    for row in rows:
        assert row["schema"] == "2"
        assert row["commit"] == (store.commit() or "")
        assert f"python={store.tools()['python']}" in row["tools"].split()


def test_csv_writes_integers_as_such_beside_gaps(tmp_path: Path) -> None:
    rows = written_csv(tmp_path / "a.csv")
    for name in ("cycles_min", "cycles_p95", "cycles_max", "stack_peak", "sram_bytes"):
        expected = [getattr(record, name) for record in RECORDS]
        assert None in expected
        assert [row[name] for row in rows] == ["" if n is None else str(n) for n in expected]


def test_csv_loses_nothing(tmp_path: Path) -> None:
    def value(field: str, text: str) -> Any:
        kind = Record.__dataclass_fields__[field].type
        if not text:
            return None
        if "bool" in str(kind):
            return {"True": True, "False": False}[text]
        return int(text) if "int" in str(kind) else float(text) if "float" in str(kind) else text

    rows = written_csv(tmp_path / "a.csv")
    found = [Record(**{field: value(field, row[field]) for field in FIELDS}) for row in rows]
    assert tuple(found) == RECORDS


def test_csv_of_one_misfit_alone(tmp_path: Path) -> None:
    store.write_csv(tmp_path / "a.csv", [TOO_LARGE])
    header, row = csv.reader((tmp_path / "a.csv").read_text().splitlines())
    found = dict(zip(header, row, strict=True))
    assert (found["cycles_max"], found["flash_bytes"], found["bit_exact"]) == ("", "40000", "")


def test_no_records_give_a_header(tmp_path: Path) -> None:
    store.write_csv(tmp_path / "a.csv", [])
    (header,) = csv.reader((tmp_path / "a.csv").read_text().splitlines())
    assert header == [*FIELDS, "schema", "commit", "tools"]
    store.write_json(tmp_path / "a.json", [])
    assert json.loads((tmp_path / "a.json").read_text())["records"] == []


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty repository as current folder, apart from the user's settings and any other."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    git("init", "-q")
    return folder


def git(*arguments: str) -> str:
    user = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", *user, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_its_plus(repository: Path) -> None:
    assert store.commit() is None
    (repository / "file").write_text("a")
    git("add", "file")
    git("commit", "-qm", "one")
    git("tag", "-am", "a tag is no commit", "v1")
    head = git("rev-parse", "HEAD")
    assert len(head) == 40
    assert store.commit() == head
    (repository / "file").write_text("b")
    assert store.commit() == f"{head}+"


@pytest.mark.usefixtures("repository")
def test_no_commit_outside_git_or_without_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()
    monkeypatch.chdir(tmp_path / "outside")
    assert store.commit() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert store.commit() is None
    assert written_json(tmp_path / "a.json")["commit"] is None
    assert written_csv(tmp_path / "a.csv")[0]["commit"] == ""


def test_tools_are_all_that_can_change_a_figure() -> None:
    found = store.tools()
    expected = {"python", "simavr", "numpy", "torch", "z80", "binutils-avr", "binutils-z80"}
    assert set(found) - {"truecycle"} == expected
    for number in found.values():
        assert number[0].isdigit()


def test_a_tool_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "torch":
            raise PackageNotFoundError(package)
        return "9"

    monkeypatch.setattr(store, "version", version)
    found = store.tools()
    assert "torch" not in found
    assert (found["truecycle"], found["z80"]) == ("9", "9")


def test_where_no_file_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for good in (tmp_path / "new.json", Path("relative.csv")):
        store.check_writable(good)
        store.write_json(good, [FITTING])
        store.check_writable(good)
    for bad in (tmp_path, tmp_path / "absent" / "a.json", tmp_path / "new.json" / "a.json"):
        with pytest.raises(HarnessError, match="cannot be written: give a file in an existing"):
            store.check_writable(bad)
