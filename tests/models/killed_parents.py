"""What becomes of workers whose parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60  # seconds


def worker_ends(program: str) -> bool:
    """Whether the worker whose id a Python program prints ends when the program is killed."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    deadline = time.monotonic() + PATIENCE
    while _running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _running(worker)


def _running(pid: int) -> bool:
    """Whether there is such a process; one that ended and was not yet waited for is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
