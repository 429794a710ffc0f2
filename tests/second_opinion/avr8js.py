"""npm's avr8js as the second opinion on AVR: TypeScript of its own, run by Node.js.

It shares no code with simavr. One process takes any number of jobs. Whether the PC has 22 bits
(calls and returns a cycle longer, 3-byte return addresses, EIND) follows from the size of flash:
above 128 KiB.

Faults of version 0.21.1, each held as a fact by `test_known_faults.py`: CBI takes 1 cycle instead
of 2; an interrupt's entry 2 instead of 4 (or 5); flag H is wrong; NEG does not set V for 0x80;
FMULSU's Z is inverted; CPC, SBC and SBCI clear Z where the difference is -256. A kernel that met
one of them would show as a difference.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from routine import Job, NotInstalled, Outcome

from emulators.base import StopReason
from emulators.simavr import SimAvr

FOLDER = Path(__file__).parent
PACKAGE = FOLDER / "node_modules" / "avr8js" / "package.json"


class Avr8js:
    """A process that runs one job after the other; made by `start`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def name(self) -> str:
        """For tables."""
        return f"avr8js {json.loads(PACKAGE.read_text())['version']}"

    def call(self, job: Job) -> Outcome:
        """Call a routine on a fresh part."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(_as_json(job) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("avr8js_jobs.mjs has ended; its standard error says why")
        found = json.loads(line)
        memory = b64decode(found["memory"])
        return Outcome(found["cycles"], StopReason(found["reason"]), memory)


@contextmanager
def start() -> Iterator[Avr8js]:
    """Start Node.js, and end it afterwards; NotInstalled where it or the package is missing."""
    node = shutil.which("node")
    if node is None:
        raise NotInstalled("Node.js is not installed")
    if not PACKAGE.exists():
        raise NotInstalled("avr8js is not installed")
    command = [node, str(FOLDER / "avr8js_jobs.mjs")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield Avr8js(process)


def _as_json(job: Job) -> str:
    routine = job.routine
    device = SimAvr(routine.target.device)
    return json.dumps(
        {
            "flashSize": device.flash_size,
            "ramEnd": device.ram.stop,
            "origin": routine.origin,
            "image": _text(routine.image),
            "entry": routine.entry,
            "stack": routine.stack,
            "returnAddress": _text(job.return_address),
            "writes": [(address, _text(data)) for address, data in job.writes],
            "limit": job.limit,
        }
    )


def _text(data: bytes) -> str:
    return b64encode(data).decode()
