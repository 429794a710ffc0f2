"""Options and fixtures of the project's own benchmarks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from budgets import SMALL
from goals import KEY, Goal, tables

from harness.budgets import BUDGETS
from harness.errors import KNOWN_ERRORS
from harness.plans import PlanPolicy
from harness.profile import profile
from harness.pytest_plugin import SESSION, Cycles, LoadModel, one_line
from harness.run import Runner
from harness.text import render
from harness.verify import by_size, verify
from kernels.compile import compile_graph
from kernels.target import find_target
from models import Model, load

_DATA_FREE = "tinychat is not measured: give --z80ai PATH or set TRUECYCLE_Z80AI"
_TINYCHAT = pytest.StashKey[Model]()
_TURNS = 5
_FIRST_EXAMPLES = 20
_FIRST = ("test_digits", "test_digits_profile", "test_chat")
_LAST = ("test_fit", "test_tinychat_fit", "test_tinychat_budgets")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--z80ai",
        metavar="PATH",
        help="folder of z80ai's tinychat: model.npz and training-data.txt.gz "
        "(default: $TRUECYCLE_Z80AI)",
    )
    parser.addoption(
        "--hostile-images",
        type=int,
        default=1000,
        metavar="N",
        help="hostile images per device (default: %(default)s; 10000 take a minute)",
    )
    parser.addoption(
        "--random-programs",
        type=int,
        default=100,
        metavar="N",
        help="random programs per instruction set (default: %(default)s; 2000 take some minutes)",
    )
    parser.addoption(
        "--random-seed", type=int, default=0, metavar="N", help="of the random programs"
    )
    parser.addoption(
        "--whole-split",
        action="store_true",
        help="compare emulator and reference on every validation example (minutes), not on a few, "
        "on the smallest targets that the best plan fits",
    )
    parser.addoption(
        "--all-budgets",
        action="store_true",
        help="sweep budgets of flash up to 256 KiB (minutes), not only an UNO's",
    )
    parser.addoption(
        "--cold-search",
        action="store_true",
        help="search tinychat's plan without what is remembered of earlier searches, too",
    )


def _folder(config: pytest.Config) -> str | None:
    return config.getoption("--z80ai") or os.environ.get("TRUECYCLE_Z80AI")


@pytest.hookimpl(trylast=True)  # after the plugin, which makes the session
def pytest_configure(config: pytest.Config) -> None:
    folder = _folder(config)
    if folder is None:
        config.stash[SESSION].notes.append(_DATA_FREE)
        return
    try:
        config.stash[_TINYCHAT] = load("tinychat", Path(folder))
    except KNOWN_ERRORS as error:
        raise pytest.UsageError(str(error)) from None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tables first, long searches last; within a module the order stays."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    name = item.path.stem
    if name in _FIRST:
        return _FIRST.index(name) - len(_FIRST)
    return _LAST.index(name) + 1 if name in _LAST else 0


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tinychat out where its files are not at hand; the summary says so."""
    missing = _TINYCHAT not in config.stash
    return True if missing and collection_path.name.startswith("test_tinychat") else None


@pytest.fixture(scope="session")
def load_model(request: pytest.FixtureRequest) -> LoadModel:
    """Load each model once; tinychat was loaded at the start."""

    @cache
    def load_once(name: str) -> Model:
        if name != "tinychat":
            return load(name)
        if _TINYCHAT not in request.config.stash:  # its file was named, so it was not left out
            pytest.fail(_DATA_FREE, pytrace=False)
        return request.config.stash[_TINYCHAT]

    return load_once


@pytest.fixture
def tinychat_folder(request: pytest.FixtureRequest) -> Path:
    folder = _folder(request.config)
    if folder is None:
        pytest.fail(_DATA_FREE, pytrace=False)
    return Path(folder)


@pytest.fixture
def largest_budget(request: pytest.FixtureRequest) -> int:
    """Kibibytes of flash, up to which budgets are swept."""
    return max(BUDGETS) if request.config.getoption("--all-budgets") else SMALL


@pytest.fixture
def cold_search(request: pytest.FixtureRequest) -> bool:
    """Whether nothing may be remembered of earlier searches."""
    cold: bool = request.config.getoption("--cold-search")
    return cold


@pytest.fixture
def hostile_images(request: pytest.FixtureRequest) -> int:
    images: int = request.config.getoption("--hostile-images")
    return images


@pytest.fixture
def meets(record_property: Callable[[str, object], None]) -> Callable[[Goal], None]:
    """Have a goal in the table at the end; it must be met."""

    def note(goal: Goal) -> None:
        record_property(KEY, goal.as_property())
        goal.check()

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of goals, of each instruction set."""
    reports = [one for how in ("passed", "failed") for one in terminalreporter.getreports(how)]
    found = [
        value
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name == KEY
    ]
    for table in tables(found):
        terminalreporter.write_line("")
        terminalreporter.write_line(render(table, 120, color=False))


@pytest.fixture
def random_programs(request: pytest.FixtureRequest) -> tuple[int, int]:
    """How many, and their seed."""
    option = request.config.getoption
    return option("--random-programs"), option("--random-seed")


@pytest.fixture
def check_split(cycles: Cycles, request: pytest.FixtureRequest) -> Callable[[Model, str], None]:
    """Compare emulator and reference on a model's evaluation, on an instruction set.

    The target is the smallest that holds the program: with encodings by rank, or, for the whole
    split, with the best plan. Where none does, a note says so.
    """
    whole: bool = request.config.getoption("--whole-split")
    examples, jobs = (None, os.cpu_count() or 1) if whole else (_FIRST_EXAMPLES, 1)
    plan = PlanPolicy.AUTO if whole else PlanPolicy.RANK

    def check(model: Model, isa: str) -> None:
        found = one_line(
            lambda: verify(model, by_size(isa), examples=examples, plan=plan, jobs=jobs)
        )
        cycles.note(found.text())
        if found.misfit is None:
            found.check()

    return check


@pytest.fixture
def check_profile(cycles: Cycles, load_model: LoadModel) -> Callable[[str, str], None]:
    """Profile a model on a target: it must add up to the run; note what profiling costs."""
    return lambda model, target: _check_profile(cycles, one_line(lambda: load_model(model)), target)


def _best_seconds(action: Callable[[], object]) -> float:
    """The quickest of some turns, which the noise of a shared machine disturbs least."""
    times = []
    for _ in range(_TURNS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def _check_profile(cycles: Cycles, model: Model, target: str) -> None:
    runner = Runner(compile_graph(model.graph, find_target(target)))
    x = model.inputs[0]
    plain = _best_seconds(lambda: runner.infer(x))
    profiled = _best_seconds(lambda: runner.infer(x, profile=True))
    result = profile(runner, x)
    by_layer = dict.fromkeys(result.layers, 0)
    for cost in result.symbols:
        by_layer[cost.layer] += cost.cycles
    assert by_layer == result.layers
    assert int(result.instructions.cycles.sum()) == result.cycles == runner.infer(x).cycles
    cycles.note(
        f"profile of {model.name} on {target}: {len(result.instructions.pcs):,} instructions, "
        f"{len(result.symbols)} symbols, sum {result.cycles:,} = the run's cycles; "
        f"{profiled / result.cycles * 1e6:.4f} s per million cycles, "
        f"{plain / result.cycles * 1e6:.4f} without"
    )
