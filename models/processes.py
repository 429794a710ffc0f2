"""Worker processes that end with the process that started them, however that one ends."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def worker_pool(jobs: int) -> ProcessPoolExecutor:
    """A pool of `jobs` processes.

    They are started afresh, since a fork would take this process's threads for its own. Where this
    process is killed, they end, too, rather than wait for work for ever.
    """
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_follow_parent)


def _follow_parent() -> None:
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
