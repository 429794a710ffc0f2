"""Debian's z80ex as the second opinion on Z80: a C library that counts the T-states of each opcode.

Chosen because it shares no code with PyPI's `z80` (its opcodes come from the FUSE emulator, whose
T-states are tested against real machines), is a package of every Debian and Ubuntu, small and
quick (a call takes milliseconds), and its licence, GPL-2 or later, is ours' kin. It is no longer
developed, and need not be: the Z80 is not either. PyPI and npm carry nothing comparable.

The loop around it is `z80ex_call.c`, compiled anew each time into a folder that is gone afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cffi import FFI
from routine import Job, NotInstalled, Outcome

from emulators.base import StopReason

SOURCE = Path(__file__).parent / "z80ex_call.c"
_REASONS = [
    StopReason.RETURNED,
    StopReason.CYCLE_LIMIT,
    StopReason.HALT,
    StopReason.STACK_UNBALANCED,
]

ffi = FFI()
ffi.cdef("""
int call(uint8_t *memory, uint16_t entry, uint16_t sp, uint64_t limit, int m1_wait,
         uint64_t *cycles);
typedef struct { int api, major, minor; char *release_type, *text; } version;
version *z80ex_get_version(void);
""")


class Z80ex:
    """The compiled loop; made by `load`."""

    def __init__(self, library: Any) -> None:
        self._library = library

    @property
    def name(self) -> str:
        """For tables."""
        return f"z80ex {ffi.string(self._library.z80ex_get_version().text).decode()}"

    def call(self, job: Job) -> Outcome:
        """Call a routine on a fresh machine."""
        routine = job.routine
        sp = routine.stack + 1 - len(job.return_address)
        memory = bytearray(0x10000)
        placed = [(routine.origin, routine.image), *job.writes, (sp, job.return_address)]
        for address, data in placed:
            memory[address : address + len(data)] = data
        cycles = ffi.new("uint64_t *")
        view = ffi.from_buffer("uint8_t[]", memory, require_writable=True)
        wait = routine.target.m1_wait
        reason = self._library.call(view, routine.entry, sp, job.limit, wait, cycles)
        return Outcome(cycles[0], _REASONS[reason], bytes(memory))


@contextmanager
def load() -> Iterator[Z80ex]:
    """Compile and load; NotInstalled where the compiler or the library is missing."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise NotInstalled("gcc is not installed")
    with TemporaryDirectory(prefix="truecycle-") as folder:
        path = Path(folder) / "call.so"
        command = [compiler, "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(path), "-lz80ex"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if "z80ex/z80ex.h" in done.stderr:
            raise NotInstalled("libz80ex-dev is not installed")
        if done.returncode:
            raise RuntimeError(done.stderr)
        yield Z80ex(ffi.dlopen(str(path)))
