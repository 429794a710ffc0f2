"""The walk-throughs of docs/extending.md: each touches at most two files, and runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = {
    section.splitlines()[0].split(":")[0]: section
    for section in re.split(r"^## ", TEXT, flags=re.M)[1:]
}
BLOCK = re.compile(r"^```python (file|append|try) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("title", SECTIONS)
def test_a_walk_through_runs(title: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall(SECTIONS[title])
    written = [path for kind, path, _ in blocks if kind != "try"]
    assert 1 <= len(set(written)) <= 2
    shutil.copytree(ROOT / "kernels", tmp_path / "kernels")
    for package in ("harness", "emulators", "models"):
        (tmp_path / package).symlink_to(ROOT / package)
    for kind, path, text in blocks:
        if kind == "try":
            _run(text, tmp_path)
        elif kind == "append":
            with (tmp_path / path).open("a", encoding="utf-8") as file:
                file.write("\n\n" + text)
        else:
            assert not (tmp_path / path).exists()
            (tmp_path / path).write_text(text, encoding="utf-8")
    assert any(kind == "try" for kind, *_ in blocks)


def test_there_are_three() -> None:
    assert list(SECTIONS) == ["A device", "An op", "An encoding"]
    assert TEXT.count("```python") == sum(len(BLOCK.findall(text)) for text in SECTIONS.values())


def _run(text: str, folder: Path) -> None:
    checked = f"import kernels\nassert kernels.__file__.startswith({str(folder)!r})\n{text}"
    done = subprocess.run(
        [sys.executable, "-c", checked],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
