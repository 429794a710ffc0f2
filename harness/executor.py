"""Where jobs run: in this process, in processes of this machine, or on Dask's workers.

Whoever has jobs gives them to one of these, and gets every result with its job's number, as soon as
it is there. A worker that is lost loses no result: what it had not finished is run again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

from harness.errors import KNOWN_ERRORS, HarnessError
from models.processes import worker_pool

J = TypeVar("J")
R = TypeVar("R")
TRIES = 4
CHUNK = 4096  # Dask's futures at a time, whatever the number of jobs


class Executor(Protocol):
    """Runs jobs somewhere."""

    @property
    def workers(self) -> int:
        """How many jobs run at a time."""

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[tuple[int, R]]:
        """The result of each job with its number, in the order in which they are finished.

        `function` stands at the top of a module, and jobs and results can be pickled. An error of
        it that the project foresees is raised here, as a HarnessError if it was elsewhere.
        """


@dataclass(frozen=True, slots=True)
class _Failed:
    """An error that the project foresees; errors themselves need not survive pickling."""

    message: str


@dataclass(frozen=True, slots=True)
class _Guarded(Generic[J, R]):
    """A function whose foreseen errors are results."""

    function: Callable[[J], R]

    def __call__(self, job: J) -> R | _Failed:
        try:
            return self.function(job)
        except KNOWN_ERRORS as error:
            return _Failed(str(error))


def _checked(result: R | _Failed) -> R:
    if isinstance(result, _Failed):
        raise HarnessError(result.message)
    return result


@dataclass(frozen=True, slots=True)
class Here:
    """In this process, one job after the other."""

    workers: int = 1

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[tuple[int, R]]:
        """In order."""
        for number, job in enumerate(jobs):
            yield number, function(job)


@dataclass(frozen=True, slots=True)
class Processes:
    """Processes of this machine, which end with this one."""

    workers: int

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[tuple[int, R]]:
        """As they come; where a process dies, the rest goes to new ones."""
        left = dict(enumerate(jobs))
        for _ in range(TRIES):
            try:
                for number, result in self._run(function, left):
                    del left[number]
                    yield number, _checked(result)
            except BrokenProcessPool:
                continue
            return
        raise HarnessError(f"worker processes died {TRIES} times; is memory short?")

    def _run(
        self, function: Callable[[J], R], jobs: dict[int, J]
    ) -> Iterator[tuple[int, R | _Failed]]:
        count = max(1, min(self.workers, len(jobs)))
        with worker_pool(count) as pool:
            guarded = _Guarded(function)
            numbers = {pool.submit(guarded, job): number for number, job in jobs.items()}
            try:
                yield from _finished(numbers)
            finally:
                pool.shutdown(cancel_futures=True)


def _finished(numbers: dict[Future[R], int]) -> Iterator[tuple[int, R]]:
    """Results as they come; those that are there before the error that ends it."""
    waiting = set(numbers)
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        failed = [future for future in done if future.exception() is not None]
        for future in done.difference(failed):
            yield numbers[future], future.result()
        for future in failed:
            future.result()


@dataclass(frozen=True, slots=True)
class Dask:
    """Workers of Dask distributed, by their scheduler's address."""

    address: str
    timeout: float = 10.0

    @property
    def workers(self) -> int:
        """Threads of all workers that are there now."""
        with self._client() as client:
            return sum(client.nthreads().values())

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Iterator[tuple[int, R]]:
        """As they come; Dask gives a lost worker's jobs to the others."""
        as_completed: Any = import_module("distributed").as_completed
        with self._client() as client:
            for start in range(0, len(jobs), CHUNK):
                part = jobs[start : start + CHUNK]
                futures = client.map(_Guarded(function), part, pure=False, retries=TRIES)
                numbers = {future.key: start + n for n, future in enumerate(futures)}
                for future, result in as_completed(futures, with_results=True):
                    yield numbers[future.key], _checked(result)

    def _client(self) -> Any:
        distributed: Any = import_module("distributed")  # slow, and seldom asked for
        try:
            return distributed.Client(self.address, timeout=self.timeout)
        except (OSError, TimeoutError, ValueError) as error:
            raise HarnessError(f"no Dask scheduler at {self.address}: {error}") from None


def executor_for(workers: int | None = None, scheduler: str | None = None) -> Executor:
    """Dask's where an address is given, else so many processes; None is one per core."""
    if scheduler:
        return Dask(scheduler)
    count = workers or os.cpu_count() or 1
    return Processes(count) if count > 1 else Here()
