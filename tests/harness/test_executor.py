"""Executors: every job's result, whoever runs it and whatever dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from killed_parents import worker_ends
from tiny_model import INPUTS, tiny_graph

from harness.emulate import emulate
from harness.errors import HarnessError
from harness.executor import Dask, Executor, Here, Processes, executor_for
from harness.run import Runner
from kernels.compile import compile_graph
from kernels.target import find_target

PARENT = """
from harness.executor import Processes

WORK = "import os, time; print(os.getpid(), flush=True); time.sleep(1000)"

if __name__ == "__main__":
    list(Processes(1).map(exec, [WORK]))
"""


def square(number: int) -> int:
    return number * number


def die_once(job: tuple[Path, int]) -> int:
    """Kill the process in which the third job runs first."""
    folder, number = job
    marker = folder / "died"
    if number == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def fail(number: int) -> int:
    raise HarnessError(f"job {number} is impossible")


@pytest.mark.parametrize("executor", [Here(), Processes(2)])
def test_every_result_has_its_number(executor: Executor) -> None:
    found = dict(executor.map(square, range(9)))
    assert found == {n: n * n for n in range(9)}
    assert dict(executor.map(square, [])) == {}


def test_a_process_that_dies_loses_nothing(tmp_path: Path) -> None:
    jobs = [(tmp_path, number) for number in range(8)]
    found = list(Processes(2).map(die_once, jobs))
    assert sorted(found) == [(n, n) for n in range(8)]
    assert (tmp_path / "died").exists()


def test_a_killed_parent_takes_its_workers_along() -> None:
    assert worker_ends(PARENT)


def test_processes_that_always_die_are_given_up() -> None:
    with pytest.raises(HarnessError, match="worker processes died 4 times"):
        list(Processes(1).map(die, [1]))


@pytest.mark.parametrize("executor", [Here(), Processes(2)])
def test_errors_come_through(executor: Executor) -> None:
    with pytest.raises(HarnessError, match="job 5 is impossible"):
        list(executor.map(fail, [5]))


def test_which_executor() -> None:
    assert executor_for(1) == Here()
    assert executor_for(3) == Processes(3)
    assert executor_for(2, "tcp://127.0.0.1:1").__class__ is Dask


def test_no_scheduler_is_one_line() -> None:
    with pytest.raises(HarnessError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9: "):
        list(Dask("tcp://127.0.0.1:9", timeout=0.2).map(square, [1]))


@pytest.mark.parametrize("target", ["uno", "cpm"])
def test_shards_give_what_single_runs_give(target: str) -> None:
    program = compile_graph(tiny_graph(), find_target(target))
    inputs = np.random.default_rng(0).integers(0, 256, (150, 3), dtype=np.uint8)
    told: list[int] = []
    found = emulate(program, inputs, Processes(2), progress=told.append)
    runs = [Runner(program).infer(x) for x in inputs]
    assert found.cycles.tolist() == [run.cycles for run in runs]
    assert found.layer_cycles["fc"].tolist() == [run.layer_cycles["fc"] for run in runs]
    assert found.stack_peak == max(run.stack_peak for run in runs)
    for name in ("logits", "class_index"):
        assert np.array_equal(found.outputs[name], [run.outputs[name] for run in runs])
    assert told[-1] == 150


def test_a_failed_run_is_told_from_a_process() -> None:
    program = compile_graph(tiny_graph(), find_target("uno"))
    with pytest.raises(HarnessError, match="tiny on uno: cycle limit reached at "):
        emulate(program, np.tile(INPUTS, (40, 1)), Processes(2), limit=20)
