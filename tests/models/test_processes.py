"""Worker processes end with the process that started them."""

from __future__ import annotations

import os

from killed_parents import worker_ends

from models.processes import worker_pool

PARENT = """
import os, time
from models.processes import worker_pool

if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        pool.submit(time.sleep, 1000)
        time.sleep(1000)
"""


def test_work_is_done_elsewhere() -> None:
    with worker_pool(1) as pool:
        assert pool.submit(os.getppid).result() == os.getpid()


def test_a_killed_parent_takes_its_workers_along() -> None:
    assert worker_ends(PARENT)
