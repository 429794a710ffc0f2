"""How a model's cycles changed from commit to commit, by the baselines that git has kept."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.result import Result
from harness.storage import read_results

_UPRIGHT = 8  # names of commits that fit side by side


@dataclass(frozen=True, slots=True)
class Point:
    """A program's figures at a commit that changed a baseline. date: ISO 8601."""

    commit: str
    date: str
    subject: str
    benchmark: str
    model: str
    target: str
    cycles_mean: float | None
    flash_bytes: int


def history(folder: Path, model: str, target: str | None = None) -> list[Point]:
    """Points of a model, the oldest first; of one target, or of all.

    folder: saved results, in a repository. Commits whose files are of another schema are left out.
    Raises HarnessError where git cannot be asked.
    """
    found = []
    for commit, date, subject in _commits(folder):
        for result in _saved(folder, commit):
            total = result.total
            if total.model == model and target in {None, total.target}:
                found.append(
                    Point(
                        commit,
                        date,
                        subject,
                        result.benchmark,
                        total.model,
                        total.target,
                        total.cycles_mean,
                        total.flash_bytes,
                    )
                )
    return found


def changed_only(points: Sequence[Point]) -> list[Point]:
    """Without those that say the same as the one before of the same benchmark and target."""
    last: dict[tuple[str, str], Point] = {}
    kept = []
    for point in points:
        key = (point.benchmark, point.target)
        before = last.get(key)
        if before is None or _figures(before) != _figures(point):
            kept.append(point)
        last[key] = point
    return kept


def _figures(point: Point) -> tuple[float | None, int]:
    return point.cycles_mean, point.flash_bytes


def _commits(folder: Path) -> Iterator[tuple[str, str, str]]:
    text = _git(folder, "log", "--reverse", "--format=%H%x09%cI%x09%s", "--", ".")
    for line in text.decode().splitlines():
        commit, date, subject = line.split("\t", 2)
        yield commit, date, subject


def _saved(folder: Path, commit: str) -> Iterator[Result]:
    if not _git(folder, "ls-tree", "--name-only", commit, "."):
        return  # the commit removed them
    data = _git(folder, "archive", "--format=tar", commit, ".")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith(".json") else None
            if stream is None:
                continue
            try:
                yield from read_results(stream.read().decode(), Path(member.name))
            except HarnessError:
                continue


def _git(folder: Path, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, check=False
        )
    except OSError as error:
        raise HarnessError(f"git cannot be run: {error}") from None
    if done.returncode:
        raise HarnessError(f"{folder}: {done.stderr.decode().strip()}")
    return done.stdout


def draw_history(points: Sequence[Point]) -> str:
    """Mean cycles over commits, a panel for each target, as an SVG element."""
    from harness.report.plots import figure  # noqa: PLC0415 - only where it is asked for

    commits = list(dict.fromkeys(point.commit for point in points))
    names = list(dict.fromkeys(point.target for point in points))

    def draw(canvas: Any, _: Any) -> None:
        for name, axes in zip(names, canvas.axes, strict=True):
            ran = [p for p in points if p.target == name and p.cycles_mean is not None]
            places = [commits.index(point.commit) for point in ran]
            means = [point.cycles_mean for point in ran]
            axes.step(places, means, "o-", where="post")
            shown = slice(None, None, max(1, len(means) - 1) if len(means) > _UPRIGHT else 1)
            for place, mean in list(zip(places, means, strict=True))[shown]:
                axes.annotate(f"{mean:,.0f}", (place, mean), (4, 5), textcoords="offset points")
            axes.set_title(name, loc="left", fontsize=11)
            axes.margins(x=0.15)
            axes.set(ylim=(0, 1.2 * max((mean or 0 for mean in means), default=1)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.locator_params(axis="y", nbins=3)
        axes.set_xticks(range(len(commits)), [commit[:7] for commit in commits])
        if len(commits) > _UPRIGHT:
            axes.tick_params(axis="x", rotation=90)
        canvas.supylabel("cycles per inference, mean")

    return figure(draw, (6.0, 0.8 + 1.5 * len(names)), len(names))
